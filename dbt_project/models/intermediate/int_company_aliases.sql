{{ resolve_merges('stg_hubspot__companies', 'company_id') }}

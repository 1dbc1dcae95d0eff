{{ resolve_merges('stg_hubspot__contacts', 'contact_id') }}

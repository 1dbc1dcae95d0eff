{{ before_run('customers', [
    ('customer_id', 'text'), ('name', 'text'), ('domain', 'text'), ('phone', 'text'),
    ('address', 'text'), ('city', 'text'), ('state', 'text'), ('zip', 'text'),
    ('country', 'text'), ('lifecycle_stage', 'text'), ('owner_name', 'text'),
    ('owner_email', 'text'), ('parent_customer_id', 'text'), ('record_state', 'text'),
    ('hubspot_url', 'text'), ('hubspot_created_at', 'timestamptz'),
    ('hubspot_updated_at', 'timestamptz'),
]) }}

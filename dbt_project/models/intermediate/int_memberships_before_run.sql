{{ before_run('memberships', [
    ('contact_id', 'text'), ('customer_id', 'text'), ('is_primary', 'boolean'),
    ('labels', 'text'),
]) }}

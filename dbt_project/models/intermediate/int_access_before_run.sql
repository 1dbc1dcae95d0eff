{{ before_run('access', [
    ('customer_id', 'text'), ('access_level', 'text'), ('is_enabled', 'boolean'),
    ('is_churned', 'boolean'), ('reason_code', 'text'), ('evidence', 'text'),
    ('effective_at', 'timestamptz'), ('access_until', 'timestamptz'),
    ('version', 'bigint'),
]) }}

{{ before_run('approvals', [
    ('plan_id', 'text'), ('decision', 'text'), ('decided_by', 'text'),
    ('decided_at', 'timestamptz'), ('expires_at', 'timestamptz'),
    ('used_at', 'timestamptz'),
], schema='ops') }}

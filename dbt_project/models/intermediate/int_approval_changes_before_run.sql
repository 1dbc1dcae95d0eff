{{ before_run('approval_changes', [
    ('plan_id', 'text'), ('decided_at', 'timestamptz'), ('customer_id', 'text'),
    ('change_id', 'text'), ('lapsed_at', 'timestamptz'),
], schema='ops') }}

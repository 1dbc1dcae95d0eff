{{ before_run('access_events', [
    ('event_id', 'bigint'), ('customer_id', 'text'), ('run_id', 'text'),
    ('occurred_at', 'timestamptz'), ('from_level', 'text'), ('to_level', 'text'),
    ('from_enabled', 'boolean'), ('to_enabled', 'boolean'), ('reason_code', 'text'),
    ('evidence', 'text'), ('approved_by', 'text'),
]) }}

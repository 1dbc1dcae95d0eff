{{ before_run('int_signals_seen', [
    ('object_type', 'text'), ('object_id', 'text'), ('property', 'text'),
    ('value', 'text'), ('first_seen_on', 'date'),
], schema='intermediate') }}

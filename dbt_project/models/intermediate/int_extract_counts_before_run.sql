{{ before_run('extract_counts', [
    ('object_type', 'text'), ('live_rows', 'bigint'),
], schema='ops') }}

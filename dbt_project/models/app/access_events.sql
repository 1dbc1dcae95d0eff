{{ config(
    unique_key='event_id',
    post_hook="{{ append_only('what happened stays') }}",
) }}
{{ publish_gate() }}

-- Only the table: the rows are written by the post-hook of app.access, in the
-- transaction that changes the flags.
select
    cast(null as bigint) as event_id,
    cast(null as text) as customer_id,
    cast(null as text) as run_id,
    cast(null as timestamptz) as occurred_at,
    cast(null as text) as from_level,
    cast(null as text) as to_level,
    cast(null as boolean) as from_enabled,
    cast(null as boolean) as to_enabled,
    cast(null as text) as reason_code,
    cast(null as {{ json_type() }}) as evidence,
    cast(null as text) as approved_by,
    cast(null as timestamptz) as effective_at,
    cast(null as text) as change_id,
    cast(null as {{ json_type() }}) as from_verdict
where false

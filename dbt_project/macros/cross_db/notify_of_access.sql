{#- Post-hook of app.access: tell whoever listens whose access changed, so that the app
    can end their sessions. PostgreSQL delivers it when the transaction commits, and
    only then; a payload may have 8,000 bytes, so many customers are several messages.
    DuckDB has nobody who could listen. -#}
{% macro notify_of_access() -%}
    {{ return(adapter.dispatch('notify_of_access', 'hubsync')()) }}
{%- endmacro %}

{% macro default__notify_of_access() -%} {%- endmacro %}

{% macro postgres__notify_of_access() -%}
    select pg_notify(
        'hubsync_access',
        jsonb_build_object(
            'run_id', {{ run_id() }},
            'customer_ids', jsonb_agg(customer_id order by customer_id)
        )::text
    )
    from (
        select
            customer_id,
            -- JSON may escape a character into six bytes.
            sum(octet_length(to_json(customer_id)::text) + 2)
                over (order by customer_id) / 7000 as message
        from (
            select distinct customer_id
            from {{ ref('access_events') }}
            where run_id = {{ run_id() }}
        ) as changed
    ) as numbered
    group by message
{%- endmacro %}

{{ config(meta={'rows': 'changes'}) }}

-- Deals and commerce subscriptions of which something else may be said than when
-- int_subscriptions was last built, and whose each was then; one empty row for all.
{% if by_rows() %}
    with published as (
        select * from {{ ref('int_subscriptions_before_run') }}
    ),

    paused_customers as (
        select customer_id from {{ ref('int_pause_evidence') }}
    ),

    changed as (
        select
            object_type,
            object_id
        from {{ ref('int_linked_records_touched') }}
        union
        select
            parent_type,
            parent_id
        from {{ ref('int_priced_records_touched') }}
    ),

    touched as (
        select
            object_type,
            object_id
        from changed
        -- Where raw has not changed, neither of the two was built for this run.
        where
            object_type in ('', 'deals', 'subscriptions')
            and exists (select 1 from ops.raw_changes)
        union
        select
            object_type,
            id as object_id
        from ops.raw_changes
        where table_name in ('deals', 'subscriptions')
        union
        -- What app says of it now, or that its customer pauses, which it read as well.
        select
            coalesce(
                built.object_type,
                case split_part(published.subscription_id, ':', 1)
                    when 'deal' then 'deals' else 'subscriptions'
                end
            ) as object_type,
            coalesce(
                built.object_id, split_part(published.subscription_id, ':', 2)
            ) as object_id
        from {{ touched('int_subscriptions') }} as built
        full join published on built.subscription_id = published.subscription_id
        left join paused_customers on built.customer_id = paused_customers.customer_id
        where
            built.subscription_id is null
            or (published.status is distinct from built.published_status)
            or (published.ends_on is distinct from built.published_ends_on)
            or (published.customer_id is distinct from built.published_customer_id)
            or (paused_customers.customer_id is not null) <> built.is_customer_paused
        union
        -- Of one past due also what app says of its customer.
        select
            built.object_type,
            built.object_id
        from {{ touched('int_subscriptions') }} as built
        left join {{ ref('int_access_before_run') }} as access
            on built.customer_id = access.customer_id
        where
            built.published_status = 'past_due'
            and (
                (access.reason_code is distinct from built.published_reason_code)
                or (access.access_until is distinct from built.published_access_until)
            )
    )

    select
        touched.object_type,
        touched.object_id,
        built.customer_id as last_customer_id
    from touched
    left join {{ touched('int_subscriptions') }} as built
        on
            touched.object_type = built.object_type
            and touched.object_id = built.object_id
{% else %}
    -- depends_on: {{ ref('int_subscriptions_before_run') }}
    -- depends_on: {{ ref('int_access_before_run') }}
    -- depends_on: {{ ref('int_pause_evidence') }}
    -- depends_on: {{ ref('int_linked_records_touched') }}
    -- depends_on: {{ ref('int_priced_records_touched') }}
    select
        '' as object_type,
        '' as object_id,
        cast(null as text) as last_customer_id
{% endif %}

-- The app's subscriptions are those that were judged, with the same status and dates.
-- depends_on: {{ ref('access') }}
select subscriptions.subscription_id
from {{ ref('int_subscriptions') }} as subscriptions
left join {{ ref('subscriptions') }} as published
    on subscriptions.subscription_id = published.subscription_id
where
    subscriptions.customer_id is not null
    and (
        {{ differs(
            [
                'subscription_id', 'customer_id', 'plan_code', 'status', 'starts_on',
                'ends_on',
            ],
            'subscriptions', 'published',
        ) }}
    )

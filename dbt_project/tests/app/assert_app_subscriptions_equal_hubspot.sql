-- The app's subscriptions are those that were judged, with the same status and dates.
-- depends_on: {{ ref('access') }}
select
    subscription_id,
    customer_id,
    plan_code,
    status,
    starts_on,
    ends_on
from {{ ref('int_subscriptions') }}
where customer_id is not null
except
select
    subscription_id,
    customer_id,
    plan_code,
    status,
    starts_on,
    ends_on
from {{ ref('subscriptions') }}

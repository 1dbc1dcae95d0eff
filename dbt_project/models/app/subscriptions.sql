{{ config(unique_key='subscription_id') }}
{{ publish_gate() }}

select
    subscriptions.subscription_id,
    subscriptions.customer_id,
    case subscriptions.object_type when 'deals' then 'deal' else 'subscription' end
        as source,
    subscriptions.name,
    subscriptions.plan_code,
    subscriptions.status,
    subscriptions.starts_on,
    subscriptions.ends_on,
    subscriptions.quantity,
    subscriptions.amount,
    subscriptions.currency,
    subscriptions.mrr,
    urls.url_base || subscriptions.object_id as hubspot_url,
    {{ now() }} as synced_at
from {{ ref('int_subscriptions') }} as subscriptions
left join {{ ref('int_record_urls') }} as urls
    on subscriptions.object_type = urls.object_type
where subscriptions.customer_id is not null

select
    before.subscription_id,
    before.status,
    before.ends_on,
    coalesce(aliases.survivor_id, before.customer_id) as customer_id
from (
    {{ before_run('subscriptions', [
        ('subscription_id', 'text'), ('customer_id', 'text'), ('status', 'text'),
        ('ends_on', 'date'),
    ]) }}
) as before
left join {{ ref('int_company_aliases') }} as aliases
    on before.customer_id = aliases.alias_id

-- The worklist. What waits for approval has a place of its own on the page.
-- All columns, since a database may be older than the newest of them.
select
    findings.*, -- noqa: AM04
    customers.name as customer_name,
    case
        when findings.object_type = 'companies' then customers.name
        else subscriptions.name
    end as record_name
from ops.findings as findings
left join app.customers as customers
    on findings.customer_id = customers.customer_id
left join app.subscriptions as subscriptions
    on
        subscriptions.subscription_id
        = case findings.object_type
            when 'deals' then 'deal:' when 'subscriptions' then 'subscription:'
        end || findings.object_id
where findings.kind not in ('CHANGE_HELD', 'EXTRACT_HELD')
order by
    findings.first_seen_at desc, findings.object_type asc, findings.object_id asc

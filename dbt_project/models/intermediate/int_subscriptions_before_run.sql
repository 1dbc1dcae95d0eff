{{ before_run('subscriptions', [
    ('subscription_id', 'text'), ('customer_id', 'text'), ('status', 'text'),
    ('ends_on', 'date'),
]) }}

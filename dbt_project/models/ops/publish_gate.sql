{#- Everything that is tested before anything is published. dbt lets a model wait for a
    test only when it descends from all that the test reads; app descends from this.
    tests/transform proves over the manifest that nothing tested is forgotten here. -#}
-- depends_on: {{ ref('access_levels') }}
-- depends_on: {{ ref('access_overrides') }}
-- depends_on: {{ ref('churn_signals') }}
-- depends_on: {{ ref('customer_lifecycle_stages') }}
-- depends_on: {{ ref('deal_pipelines') }}
-- depends_on: {{ ref('deal_stages') }}
-- depends_on: {{ ref('parent_access') }}
-- depends_on: {{ ref('plans') }}
-- depends_on: {{ ref('policy_dates') }}
-- depends_on: {{ ref('protected_customers') }}
-- depends_on: {{ ref('subscription_statuses') }}
-- depends_on: {{ ref('access_plan') }}
-- depends_on: {{ ref('extract_guard') }}
-- depends_on: {{ ref('extract_counts') }}
-- depends_on: {{ ref('findings') }}
-- depends_on: {{ ref('int_customer_aliases') }}
-- depends_on: {{ ref('int_contacts') }}
-- depends_on: {{ ref('int_memberships') }}
-- depends_on: {{ ref('int_signals_seen') }}
-- depends_on: {{ ref('int_subscriptions') }}
select true as is_tested

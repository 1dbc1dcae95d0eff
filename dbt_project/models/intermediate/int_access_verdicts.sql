-- What app.access copies. A merged-away customer has the verdict of its survivor: the
-- app may still hold sessions under the old id, and a merge is no evidence of churn.
-- Evidence that says the same as before stays as it was, old value and time included.
{%- set is_kept %}
coalesce(
    access.reason_code = explained.reason_code
    and access.evidence_object_id is not distinct from explained.evidence_object_id
    and access.evidence_property is not distinct from explained.evidence_property
    and access.evidence_value is not distinct from explained.evidence_value
    and access.inherited_from is not distinct from explained.inherited_from
    and access.inherited_reason_code
    is not distinct from explained.inherited_reason_code,
    false
)
{%- endset %}

with verdicts as (
    select * from {{ ref('int_access_verdicts_inherited') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

urls as (
    select * from {{ ref('int_record_urls') }}
),

access as (
    select * from {{ ref('int_access_before_run') }}
),

explained as (
    select
        customers.customer_id,
        customers.surviving_customer_id,
        verdicts.rule,
        verdicts.is_evidence_lost,
        verdicts.access_level,
        verdicts.is_enabled,
        verdicts.is_churned,
        verdicts.reason_code,
        verdicts.effective_at,
        verdicts.access_until,
        verdicts.inherited_from,
        verdicts.inherited_reason_code,
        verdicts.evidence_object_type,
        verdicts.evidence_object_id,
        verdicts.evidence_property,
        verdicts.evidence_value,
        {{ json_object({
            'object_type': 'verdicts.evidence_object_type',
            'object_id': 'verdicts.evidence_object_id',
            'property': 'verdicts.evidence_property',
            'value': 'verdicts.evidence_value',
            'old_value': 'verdicts.evidence_old_value',
            'hubspot_updated_at': iso_instant('verdicts.evidence_updated_at'),
            'hubspot_url': 'urls.url_base || verdicts.evidence_object_id',
        }) }} as evidence
    from customers
    inner join verdicts
        on
            verdicts.customer_id
            = coalesce(customers.surviving_customer_id, customers.customer_id)
    left join urls on verdicts.evidence_object_type = urls.object_type
)

select
    explained.customer_id,
    explained.surviving_customer_id,
    explained.rule,
    explained.is_evidence_lost,
    explained.access_level,
    explained.is_enabled,
    explained.is_churned,
    explained.reason_code,
    explained.effective_at,
    explained.access_until,
    explained.inherited_from,
    explained.evidence_object_type,
    explained.evidence_object_id,
    explained.evidence_property,
    explained.evidence_value,
    case
        when {{ is_kept }} then access.evidence
        when explained.inherited_from is not null
            then {{ json_with('explained.evidence', {
                'inherited_from': 'explained.inherited_from',
                'inherited_reason_code': 'explained.inherited_reason_code',
            }) }}
        else explained.evidence
    end as evidence,
    -- Evidence is kept, or else it is of something else, or for another reason.
    {{ decides_something_else('access', 'explained') }}
    or not {{ is_kept }} as is_different
from explained
left join access on explained.customer_id = access.customer_id

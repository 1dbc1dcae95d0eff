-- Which changes wait or are ignored, and why. A class over its limit waits as a whole:
-- to choose some of it would be to guess which are the accident.
with changes as (
    select * from {{ ref('int_access_changes') }}
),

exemptions as (
    select * from {{ ref('int_breaker_exemptions') }}
),

figures as (
    select * from {{ ref('int_breaker_figures') }}
    where is_guarded
),

broken as (
    select
        'revoke' as change_class,
        case
            when revocations > revocations_per_run then 'BREAKER_REVOCATIONS_PER_RUN'
            else 'BREAKER_REVOCATIONS_PER_DAY'
        end as hold_reason,
        case
            when revocations > revocations_per_run
                then
                    revocations || ' customers would lose access in this run; '
                    || {{ breaker_limit_in_words('breaker_revocations_per_run',
                        'revocations_per_run', 'customers_with_access') }} || '.'
            else
                revocations || ' customers would lose access, after '
                || revocations_before || ' in the 24 hours before; in 24 hours '
                || {{ breaker_limit_in_words('breaker_revocations_per_day',
                    'revocations_per_day', 'customers_with_access') }} || '.'
        end as hold_detail
    from figures
    where
        revocations > revocations_per_run
        or (revocations > 0 and revocations + revocations_before > revocations_per_day)
    union all
    select
        'grant' as change_class,
        'BREAKER_GRANTS_PER_RUN' as hold_reason,
        grants || ' customers would gain access in this run; '
        || {{ breaker_limit_in_words('breaker_grants_per_run', 'grants_per_run',
            'customers_with_access') }} || '.' as hold_detail
    from figures
    where grants > grants_per_run
    union all
    select
        'shorten' as change_class,
        'BREAKER_SHORTENED' as hold_reason,
        'The access of ' || shortened || ' customers would end earlier; '
        || {{ breaker_limit_in_words('breaker_revocations_per_run',
            'revocations_per_run', 'customers_with_access') }} || '.' as hold_detail
    from figures
    where shortened > revocations_per_run
)

select
    customer_id,
    change_id,
    hold_reason,
    hold_detail
from exemptions
union all
select
    changes.customer_id,
    changes.change_id,
    broken.hold_reason,
    broken.hold_detail
from changes
inner join broken on changes.change_class = broken.change_class
left join exemptions on changes.customer_id = exemptions.customer_id
where exemptions.customer_id is null

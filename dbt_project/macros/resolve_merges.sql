{#- Merged-away ids with the record that carries them on today. HubSpot tells it twice:
    the loser's row names its survivor (it has none when it was merged before our first
    load), and the survivor lists the ids it swallowed. Chains are followed to their
    end; a circle has none and gives no row. -#}
{% macro resolve_merges(model, id) %}
    with recursive records as (
        select * from {{ ref(model) }}
        where record_state = 'merged' or merged_ids is not null
    ),

    told_by_loser as (
        select
            {{ id }} as alias_id,
            merged_into_id as survivor_id
        from records
        where record_state = 'merged' and merged_into_id is not null
    ),

    told_by_survivor as (
        select
            unnest(string_to_array(merged_ids, ';')) as alias_id,
            {{ id }} as survivor_id
        from records
        where merged_ids is not null
    ),

    steps as (
        select alias_id, survivor_id from told_by_loser
        union
        select trim(told_by_survivor.alias_id), told_by_survivor.survivor_id
        from told_by_survivor
        where
            trim(told_by_survivor.alias_id) not in ('', told_by_survivor.survivor_id)
            and coalesce(
                {{ of_loser('record_state', model, id, 'trim(told_by_survivor.alias_id)') }},
                'merged'
            ) = 'merged'
    ),

    followed as (
        select alias_id, survivor_id, 1 as steps_taken from steps
        union
        select followed.alias_id, steps.survivor_id, followed.steps_taken + 1
        from followed
        inner join steps on followed.survivor_id = steps.alias_id
        where followed.steps_taken < 50
    ),

    ended as (
        select followed.alias_id, min(followed.survivor_id) as survivor_id
        from followed
        left join steps on followed.survivor_id = steps.alias_id
        where steps.alias_id is null
        group by followed.alias_id
    )

    select
        ended.alias_id,
        ended.survivor_id,
        {{ of_loser('coalesce(archived_at, updated_at)', model, id, 'ended.alias_id') }}
            as merged_at
    from ended
{% endmacro %}

{#- Asked for one record, so that PostgreSQL looks each of the few up, and need not read
    a million for a join. -#}
{% macro of_loser(expression, model, id, alias_id) -%}
    (select {{ expression }} from {{ ref(model) }} where {{ id }} = {{ alias_id }})
{%- endmacro %}

{#-
    A row of app that somebody edited by hand is put back by the next publication, and
    said: ops.manual_edits. Known by what ops.published_rows remembers of the values
    that were published, and asked only of rows that are about to be written, so that
    an unchanged sync pays nothing. A row that was never published by us is nobody's
    edit.
-#}
{% macro note_manual_edits(published, staged, merge) -%}
    insert into {{ ref('manual_edits') }} (
        run_id, found_at, table_name, row_key, columns
    )
    select
        {{ run_id() }},
        {{ now() }},
        '{{ published.identifier }}',
        remembered.row_key,
        case
            when dest.{{ merge.key[0] }} is not null
                then {{ names_of_differing(merge.compared, 'source', 'dest') }}
        end
    from {{ staged }} as source
    inner join {{ ref('published_rows') }} as remembered
        on
            remembered.table_name = '{{ published.identifier }}'
            and remembered.row_key = {{ row_key(merge.key, 'source') }}
    left join {{ published }} as dest
        on {{ same_key(merge.key, 'source', 'dest') }}
    where
        dest.{{ merge.key[0] }} is null
        or (
            remembered.content_hash <> {{ content_hash(merge, 'dest') }}
            -- What was remembered of other columns, before an upgrade, tells nothing.
            and remembered.content_hash like '{{ shape(merge) }}:%'
        )
{%- endmacro %}

{% macro remember_published_rows(published, staged, merge) -%}
    merge into {{ ref('published_rows') }} as remembered
    using (
        select
            {{ row_key(merge.key, 'source') }} as row_key,
            {{ content_hash(merge, 'source') }} as content_hash
        from {{ staged }} as source
    ) as source
        on
            remembered.table_name = '{{ published.identifier }}'
            and remembered.row_key = source.row_key
    when matched then update set content_hash = source.content_hash
    when not matched then insert (table_name, row_key, content_hash)
        values ('{{ published.identifier }}', source.row_key, source.content_hash)
{%- endmacro %}

{% macro row_key(keys, row) -%}
    concat_ws(' ', {{ row }}.{{ keys | join(', ' ~ row ~ '.') }})
{%- endmacro %}

{% macro names_of_differing(columns, one, other) -%}
    concat_ws(
        ', '
        {%- for column in columns -%}
        , case
            when {{ one }}.{{ column }} is distinct from {{ other }}.{{ column }}
                then '{{ column }}'
        end
        {%- endfor %}
    )
{%- endmacro %}

{#- Which columns a hash is about, and their types. -#}
{% macro shape(merge) -%}
    {{- local_md5(merge.typed | map('join', ' ') | join(','))[:8] -}}
{%- endmacro %}

{#- `merge.typed`: (name, type) pairs, types as the table has them: an app that had its
    tables before us may keep a number where we say text. -#}
{% macro compared_columns(published, merge) -%}
    {%- set found = [] -%}
    {%- for column in adapter.get_columns_in_relation(published)
        if column.name in merge.compared -%}
        {%- do found.append((column.name, column.data_type | lower)) -%}
    {%- endfor -%}
    {{- return(found | sort) -}}
{%- endmacro %}

{#- Instants and days as numbers: how they look as text is a setting of the session. -#}
{% macro content_hash(merge, row) -%}
    '{{ shape(merge) }}:' || md5(concat_ws(
        chr(31)
        {%- for name, type in merge.typed %}
        {%- set value = 'cast(' ~ row ~ '.' ~ name ~ ' as ' ~ type ~ ')' %},
        coalesce(cast(
            {%- if 'timestamp' in type or type == 'date' %}
            extract(epoch from {{ value }})
            {%- else %}
            {{ value }}
            {%- endif %} as text
        ), chr(30))
        {%- endfor %}
    ))
{%- endmacro %}

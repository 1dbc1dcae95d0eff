{#-
    Text to types, null instead of an error. HubSpot's values are text that anyone can
    have written, PostgreSQL before 16 has no try_cast, and one bad value must not stop
    the sync of all the others. A regular expression therefore decides, ranges
    included, before anything is cast; the same expression on both engines, so both
    refuse the same values. What is refused is found by stg_hubspot__unparsable_values.
-#}

{% macro as_text(value) -%}
    nullif({{ value }}, '')
{%- endmacro %}

{#- By default up to 15 digits before the point, as numeric(18, 2) can hold; also
    scientific notation with small exponents, as HubSpot sends it. -#}
{% macro as_number(value, type='numeric(18, 2)', digits=15) -%}
    case
        when {{ value }} ~ '^ *[+-]?([0-9]{1,{{ digits ~ '}' }}([.][0-9]{0,30})?|[.][0-9]{1,30}) *$'
            then cast(trim({{ value }}) as {{ type }})
        when {{ value }} ~ '^ *[+-]?[0-9]([.][0-9]{0,30})?[eE]([+]?0?[0-9]|[+]?1[0-4]|-[0-9]{1,2}) *$'
            then cast(cast(trim({{ value }}) as double precision) as {{ type }})
    end
{%- endmacro %}

{% macro as_boolean(value) -%}
    case lower(trim({{ value }})) when 'true' then true when 'false' then false end
{%- endmacro %}

{#- A day that exists: no 31 April, 29 February in leap years only, years 1000-2999. -#}
{% macro day_pattern() -%}
    ([12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([12][0-9](0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)-02-29)
{%- endmacro %}

{% macro time_pattern() -%}
    [T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?
{%- endmacro %}

{#- ISO days, ISO instants (UTC where they name no zone), epoch milliseconds
    from 1973 to 2286. -#}
{% macro as_timestamp(value) -%}
    case
        when {{ value }} ~ '^{{ day_pattern() }}$'
            then cast({{ value }} || 'T00:00:00Z' as timestamptz)
        when {{ value }} ~ '^{{ day_pattern() }}{{ time_pattern() }}$'
            then cast({{ value }} || 'Z' as timestamptz)
        when {{ value }} ~ '^{{ day_pattern() }}{{ time_pattern() }}(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$'
            then cast({{ value }} as timestamptz)
        when {{ value }} ~ '^[0-9]{12,13}$'
            then to_timestamp(cast({{ value }} as double precision) / 1000)
    end
{%- endmacro %}

{% macro as_date(value) -%}
    cast({{ as_timestamp(value) }} at time zone 'UTC' as date)
{%- endmacro %}

{#- Several values of one property, which HubSpot separates by semicolons. -#}
{% macro as_list(value) -%}
    string_to_array(nullif(trim(both ';' from regexp_replace({{ value }}, ';+', ';', 'g')), ''), ';')
{%- endmacro %}

{#- The first instant of a day, for columns of instants. -#}
{% macro start_of_day(day) -%}
    cast({{ day }} as timestamp) at time zone 'UTC'
{%- endmacro %}

{#- A computed number that fits into numeric(18, 2), else null: a price times a quantity
    of nonsense must not stop the sync. -#}
{% macro as_money(value) -%}
    case when abs({{ value }}) < 1e15 then cast({{ value }} as numeric(18, 2)) end
{%- endmacro %}

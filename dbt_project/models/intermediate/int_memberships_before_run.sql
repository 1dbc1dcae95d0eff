{{ config(meta={'rows': 'people'}) }}

-- depends_on: {{ ref('int_contacts_touched') }}
-- Of those that are built now, where not all of them are.
select * from (
    {{ before_run('memberships', [
    ('contact_id', 'text'), ('customer_id', 'text'), ('is_primary', 'boolean'),
    ('labels', 'text'),
]) }}
) as before_run
{{ only_rows_to_build() }}

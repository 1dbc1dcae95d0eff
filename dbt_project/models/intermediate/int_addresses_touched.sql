{{ config(meta={'rows': 'people'}) }}

-- depends_on: {{ ref('int_contacts_touched') }}
-- E-mail addresses that may be somebody else's, or several people's, than when who has
-- one in common was last found; one empty row for all of them.
{% if by_rows() %}
    select lower(email) as email
    from {{ ref('int_contacts') }}
    {{ only_rows_to_build('contact_id') }}
    and email is not null
    union
    select email
    from {{ touched('int_contacts_sharing_email') }}
    {{ only_rows_to_build('contact_id') }}
{% else %}
    -- depends_on: {{ ref('int_contacts') }}
    select '' as email
{% endif %}

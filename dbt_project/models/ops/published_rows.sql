{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    post_hook="{{ merge_key_index(this, ['table_name', 'row_key']) }}",
) }}

-- Only the table: the rows are written by the post-hooks of app.access, in the
-- transaction that publishes.
select
    cast(null as text) as table_name,
    cast(null as text) as row_key,
    cast(null as text) as content_hash
where false

-- Ids that were merged away, so that they are found under the one that carries on.
select
    alias_id,
    customer_id
from app.customer_aliases

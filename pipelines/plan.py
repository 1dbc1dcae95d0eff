"""What a sync would change in access, and why, as `ops.access_plan` says it."""

from __future__ import annotations

from typing import Any

from pipelines import evidence, ops
from pipelines.warehouse import Warehouse


def read_plan(warehouse: Warehouse) -> dict[str, Any]:
    """`{"plan_id": …, "changes": [{customer_id, action, reason_code, held, …}],
    "losses": [{object_type, rows_before, rows_now, detail, …}]}`; losses are object
    types that lost so many rows that a person must look first."""
    losses = ops.rows(
        warehouse,
        "select * from ops.extract_guard where is_held order by object_type",
    )
    changes = evidence.planned(warehouse, "true")
    plan_ids = {row.pop("plan_id") for row in (*changes, *losses)}
    return {
        "plan_id": next(iter(plan_ids), None),
        "changes": changes,
        "losses": losses,
    }

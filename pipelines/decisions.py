"""What people decide about changes that wait: approved or rejected, by whom and why.

dbt decides what waits and what a decision releases (`ops.access_plan`); here decisions
are only written down, each with the exact set of changes that the person saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pipelines import ops
from pipelines.errors import ConfigurationError
from pipelines.warehouse import Connection, Warehouse

_LIFETIME = timedelta(hours=24)  # DESIGN, rule 4
_SHOWN = 5

# Of ops.access_plan: what waits for a person. What one refused waits for nobody.
IS_WAITING = "held and hold_reason not in ('REJECTED', 'UNDONE')"

_WAITING = f"""
    select plan_id, customer_id, name, action, reason_code, hold_reason, hold_detail,
        change_id
    from ops.access_plan
    where {IS_WAITING}
    union all
    select plan_id, null, object_type, 'publish', null, 'EXTRACT_GUARD', detail,
        change_id
    from ops.extract_guard
    where is_held and not is_rejected
"""


@dataclass(frozen=True)
class Decision:
    """What was decided. `earlier` means that it had been before, and nothing was
    done."""

    plan_id: str
    decision: str
    decided_by: str
    decided_at: datetime
    changes: int
    earlier: bool = False


def waiting(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The changes that wait for a person, as the last run found them."""
    return ops.rows(warehouse, f"{_WAITING} order by customer_id")


def remember_waiting(
    warehouse: Warehouse, run_id: str, now: datetime
) -> list[dict[str, Any]]:
    """`waiting`, kept in `ops.plans` under the name of the set."""
    found = waiting(warehouse)
    with warehouse.connect() as connection:
        connection.execute(
            "insert into ops.plans (plan_id, run_id, planned_at, customer_id, name, "
            "action, reason_code, hold_reason, hold_detail, change_id) "
            "select plan_id, ?, ?, customer_id, name, action, reason_code, "
            f"hold_reason, hold_detail, change_id from ({_WAITING}) as waiting "
            "where plan_id not in (select plan_id from ops.plans)",
            (run_id, now),
        )
    return found


def decide(
    warehouse: Warehouse,
    plan_id: str,
    decision: Literal["approved", "rejected"],
    *,
    by: str,
    reason: str,
) -> Decision:
    """Write a decision down. The set that waits must be the one that was seen, or
    part of it. The caller holds no lock. Raises ConfigurationError where the id is
    unknown, nothing waits, or the set has grown; AlreadyRunning beside a sync.
    """
    if not by.strip() or not reason.strip():
        raise ConfigurationError("--by and --reason must say who decides, and why.")
    if not warehouse.holds("ops", "extract_guard"):
        raise ConfigurationError(
            f"There is no plan in the {warehouse.describe()}; hubsync plan makes one."
        )
    with warehouse.lock(), warehouse.connect() as connection:
        ops.create_tables(connection)
        before = _spent(connection, plan_id)
        if before is not None:
            return before
        now = ops.instant(connection)
        changes = _confirmed(connection, plan_id)
        connection.execute(
            "insert into ops.approvals values (?, ?, ?, ?, ?, ?, null)",
            (
                plan_id,
                decision,
                by.strip(),
                reason.strip(),
                now,
                now + _LIFETIME if decision == "approved" else None,
            ),
        )
        connection.execute(
            "insert into ops.approval_changes "
            "(plan_id, decided_at, customer_id, change_id) "
            "select plan_id, ?, customer_id, change_id "
            "from ops.plans where plan_id = ?",
            (now, plan_id),
        )
        if decision == "rejected":
            _withdraw(connection, plan_id)
        return Decision(plan_id, decision, by.strip(), now, changes)


def settle(warehouse: Warehouse, approval: Decision) -> list[dict[str, Any]]:
    """After the sync that was to use the approval: what joined its set meanwhile.

    An approval that something joined is void; the rest of the set waits on."""
    used = ops.rows(
        warehouse,
        "select used_at from ops.approvals where plan_id = ? and decided_at = ?",
        (approval.plan_id, approval.decided_at),
    )[0]["used_at"]
    if used is not None:
        return []
    with warehouse.connect() as connection:
        joined = _joined(connection, approval.plan_id)
        if joined:
            connection.execute(
                "update ops.approvals set decision = 'void' "
                "where plan_id = ? and decided_at = ?",
                (approval.plan_id, approval.decided_at),
            )
    return joined


def _spent(connection: Connection, plan_id: str) -> Decision | None:
    """The decision about this very set that is done with, unless it waits again."""
    rows = connection.execute(
        "select decision, decided_by, decided_at, ("
        "select count(*) from ops.approval_changes as changes "
        "where changes.plan_id = approvals.plan_id "
        "and changes.decided_at = approvals.decided_at) "
        "from ops.approvals as approvals "
        "where plan_id = ? and (used_at is not null or decision = 'rejected') "
        f"and not exists (select 1 from ({_WAITING}) as waiting) "
        "order by decided_at desc limit 1",
        (plan_id,),
    )
    if not rows:
        return None
    decision, decided_by, decided_at, changes = rows[0]
    return Decision(plan_id, decision, decided_by, decided_at, changes, earlier=True)


def _confirmed(connection: Connection, plan_id: str) -> int:
    """How many changes wait, all of which the plan of this id has shown."""
    found = connection.execute(f"select distinct plan_id from ({_WAITING}) as waiting")
    current = str(found[0][0]) if found else None
    known = connection.execute(
        "select count(*) from ops.plans where plan_id = ?", (plan_id,)
    )[0][0]
    if current is None:
        raise ConfigurationError(
            "No change waits for a decision; nothing was decided. (hubsync plan shows "
            "what a sync would do.)"
        )
    if not known:
        raise ConfigurationError(
            f"There is no plan {plan_id!r}. What waits now is plan {current}; "
            "hubsync plan shows it."
        )
    joined = _joined(connection, plan_id)
    if joined:
        raise ConfigurationError(
            f"Nothing was decided: the set has grown since plan {plan_id}. "
            f"{grown(joined)} What waits now is plan {current}; hubsync plan shows it."
        )
    return int(
        connection.execute(f"select count(*) from ({_WAITING}) as waiting")[0][0]
    )


def _joined(connection: Connection, plan_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        f"select name, customer_id, action, reason_code from ({_WAITING}) as waiting "
        "where change_id not in (select change_id from ops.plans where plan_id = ?) "
        "order by customer_id",
        (plan_id,),
    )
    return [dict(zip(connection.columns, row, strict=True)) for row in rows]


def grown(joined: list[dict[str, Any]]) -> str:
    """What joined a set, in a sentence."""
    names = [
        f"{row['name']} ({row['action']}, {row['reason_code'] or 'lost rows'})"
        for row in joined[:_SHOWN]
    ]
    if len(joined) > _SHOWN:
        names.append(f"{len(joined) - _SHOWN} more")
    return f"Joined since: {', '.join(names)}."


def _withdraw(connection: Connection, plan_id: str) -> None:
    """What is rejected waits for nobody, also before the next sync has looked."""
    rejected = "(select change_id from ops.plans where plan_id = ?)"
    connection.execute(
        "update ops.access_plan set hold_reason = 'REJECTED' "
        f"where held and change_id in {rejected}",
        (plan_id,),
    )
    connection.execute(
        "update ops.extract_guard set is_rejected = true "
        f"where is_held and change_id in {rejected}",
        (plan_id,),
    )

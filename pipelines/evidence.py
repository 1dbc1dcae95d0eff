"""What HubSpot's own history adds to evidence before it is published.

`ops.evidence_to_read` says which facts; what HubSpot answers is kept in
`ops.evidence_history`, from where app.access and the plan take it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipelines import ops
from pipelines.errors import HubsyncError
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.history import Change, Fact, read_changes
from pipelines.hubspot.objects import ObjectType
from pipelines.warehouse import Warehouse

_KEY = "object_type = ? and object_id = ? and property = ? and value = ?"


def read_history(
    warehouse: Warehouse, client: HubSpot, object_types: Iterable[ObjectType]
) -> list[str]:
    """Ask HubSpot how the facts came about; notes for the reader, if any.

    Without an answer the evidence says when the record last changed, and everything is
    published all the same: nobody's access waits for an explanation.
    """
    rows = ops.rows(
        warehouse,
        "select object_type, object_id, property, value from ops.evidence_to_read",
    )
    facts = [Fact(**row) for row in rows]
    if not facts:
        return []
    found: dict[Fact, Change] = {}
    notes = []
    answered = facts
    try:
        by_name = {each.name: each for each in object_types}
        for change in read_changes(client, by_name, facts):
            found[change.fact] = change
    except HubsyncError as error:
        # What was told before it failed is true; of the others nothing is known.
        answered = list(found)
        notes.append(
            f"HubSpot's history of {len(facts) - len(found)} values could not be read; "
            "their evidence says when the record last changed, not when the value did. "
            f"({str(error).split('. ')[0]}.)"
        )
    with warehouse.connect() as connection:
        # Also of those without an answer: an old one would be another change's.
        for fact in facts:
            connection.execute(
                f"delete from ops.evidence_history where {_KEY}", _key(fact)
            )
        for fact in answered:
            # That there is no answer is kept too, or it would be asked in every run.
            change = found.get(fact) or Change(
                fact, None, None, None, None, client.now()
            )
            connection.execute(
                "insert into ops.evidence_history (object_type, object_id, property, "
                "value, old_value, changed_at, source_type, changed_by, "
                "record_updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *_key(fact),
                    change.old_value,
                    change.changed_at,
                    change.source_type,
                    change.changed_by,
                    change.record_updated_at,
                ),
            )
    return notes


def _key(fact: Fact) -> tuple[str, str, str, str]:
    return fact.object_type, fact.object_id, fact.property, fact.value


def planned(
    warehouse: Warehouse, condition: str, parameters: tuple[Any, ...] = ()
) -> list[dict[str, Any]]:
    """Rows of `ops.access_plan`, their evidence with HubSpot's history as publishing
    would write it."""
    rows = ops.rows(
        warehouse,
        "select plan.*, history.old_value as history_old_value, history.changed_at, "
        "history.source_type, history.changed_by "
        "from ops.access_plan as plan left join ops.evidence_history as history "
        "on history.object_type = (cast(plan.evidence as json) ->> 'object_type') "
        "and history.object_id = (cast(plan.evidence as json) ->> 'object_id') "
        "and history.property = (cast(plan.evidence as json) ->> 'property') "
        "and history.value = (cast(plan.evidence as json) ->> 'value') "
        f"where {condition} order by plan.action, plan.customer_id",
        parameters,
    )
    for row in rows:
        old_value, changed_at = row.pop("history_old_value"), row.pop("changed_at")
        told = {
            "old_value": old_value,
            "changed_at": changed_at,
            "source": row.pop("source_type"),
            "changed_by": row.pop("changed_by"),
        }
        row["evidence"] = ops.decoded(row["evidence"]) or None
        if row["evidence"] and changed_at and "changed_at" not in row["evidence"]:
            told["changed_at"] = f"{changed_at:%Y-%m-%dT%H:%M:%SZ}"
            row["evidence"] |= told
    return rows

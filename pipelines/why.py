"""Why one customer has access or has not, from what `app` and `ops` keep."""

from __future__ import annotations

from typing import Any

from pipelines import evidence, ops
from pipelines.errors import ConfigurationError
from pipelines.warehouse import Warehouse

_SHOWN = 10


def explain(warehouse: Warehouse, customer: str) -> dict[str, Any]:
    """Verdict, evidence, planned change, overrides, subscriptions and timeline of the
    customer with this id, domain or name. The timeline includes ids that were merged
    into it; `published_at` is our clock at the end of the publication, `changed_at` in
    the evidence is HubSpot's.

    Raises ConfigurationError where none or several answer to it.
    """
    if not warehouse.holds("app", "access_events"):
        raise ConfigurationError(
            f"There are no customers in the {warehouse.describe()} yet; run hubsync "
            "sync first."
        )
    found = _customer(warehouse, customer.strip())
    id = found["customer_id"]
    access = _decoded(
        ops.rows(
            warehouse,
            "select access_level, is_enabled, is_churned, reason_code, evidence, "
            "effective_at, access_until, version, decided_at, run_id, "
            "is_enabled and coalesce(access_until > now(), true) as is_enabled_now "
            "from app.access where customer_id = ?",
            (id,),
        )
    )
    planned = evidence.planned(
        warehouse,
        "plan.customer_id = ? and (plan.held or plan.action in ('grant', 'revoke', "
        "'change')) and (plan.held or not exists (select 1 from app.access as access "
        "where access.customer_id = plan.customer_id and access.is_enabled = "
        "plan.to_enabled and access.access_level = plan.to_level))",
        (id,),
    )
    timeline = ops.rows(
        warehouse,
        "select events.*, runs.published_at from app.access_events as events "
        "left join ops.sync_runs as runs on runs.run_id = events.run_id "
        "where events.customer_id = ? or events.customer_id in "
        "(select alias_id from app.customer_aliases where customer_id = ?) "
        "order by events.event_id",
        (id, id),
    )
    return {
        **found,
        "access": access[0] if access else None,
        "planned": planned,
        "overrides": ops.rows(
            warehouse,
            "select effect, access_level, property, value, ends_at, is_in_force "
            "from intermediate.int_customer_overrides where customer_id = ?",
            (id,),
        ),
        "subscriptions": ops.rows(
            warehouse,
            "select subscription_id, status, plan_code, starts_on, ends_on, "
            "hubspot_url from app.subscriptions where customer_id = ? "
            "order by starts_on, subscription_id",
            (id,),
        ),
        "timeline": _decoded(timeline),
    }


def _customer(warehouse: Warehouse, asked: str) -> dict[str, Any]:
    """By id (also a merged one), then domain, then whole name, then part of a name."""
    ways = (
        "customers.customer_id = coalesce((select customer_id from "
        "app.customer_aliases where alias_id = ?), '') "
        "or customers.customer_id = ?",
        "lower(customers.domain) = lower(?) or lower(customers.name) = lower(?)",
        # Not `like`: names hold % and _.
        "strpos(lower(customers.name), lower(?)) > 0 and ? <> ''",
    )
    for condition in ways:
        found = ops.rows(
            warehouse,
            "select customer_id, name, domain, record_state, hubspot_url "
            f"from app.customers as customers where {condition} "
            "order by record_state <> 'live', name, customer_id",
            (asked, asked),
        )
        # An id that was merged away is one customer: the survivor answers for it.
        live = [row for row in found if row["record_state"] != "merged"] or found
        if len(live) == 1:
            return live[0]
        if live:
            lines = [
                f"  {row['customer_id']}  {row['name']}  {row['domain'] or ''}".rstrip()
                for row in live[:_SHOWN]
            ]
            if len(live) > _SHOWN:
                lines.append(f"  and {len(live) - _SHOWN} more")
            raise ConfigurationError(
                f"{len(live)} customers answer to {asked!r}; ask by id:\n"
                + "\n".join(lines)
            )
    raise ConfigurationError(
        f"No customer has the id, domain or name {asked!r}. A company becomes a "
        "customer when it has a subscription or a customer lifecycle stage."
    )


def _decoded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in rows:
        row["evidence"] = ops.decoded(row["evidence"]) or None
    return rows

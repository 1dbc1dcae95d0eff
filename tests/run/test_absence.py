"""What HubSpot does not say takes nobody's access away, however it comes not to."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import ON_DUCKDB, Hubsync, app_rows, query
from tests.run.test_sync import by_reason


def access(warehouse: Warehouse) -> dict[str, bool]:
    rows = query(warehouse, "select customer_id, is_enabled from app.access")
    return {row[0]: row[1] for row in rows}


def findings(warehouse: Warehouse) -> set[tuple[Any, ...]]:
    return set(
        query(warehouse, "select finding_id, kind, customer_id from ops.findings")
    )


def test_records_links_and_words_that_are_gone_revoke_nothing_and_are_said_once(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    bought = query(
        synced,
        "select customer_id, substring(subscription_id, 6) "
        "from app.subscriptions where source = 'deal' "
        "and status = 'active' and customer_id in (select customer_id from "
        "app.subscriptions group by customer_id having count(*) = 1) and customer_id "
        "in (select customer_id from app.access where is_enabled) order by 1",
    )
    deals = {
        company: deal
        for company, deal in bought
        if len(portal.partners("deals", int(deal), "companies")) == 1
    }
    unlinked, unclear, archived, winner, loser, *_ = deals
    before, said_before = access(synced), findings(synced)

    portal.dissociate("deals", deals[unlinked], "companies", unlinked)
    stage = {"label": "Mystery", "id": "mystery", "metadata": {"isClosed": "false"}}
    portal.update_pipeline("deals", "short-lived", {"label": "X", "stages": [stage]})
    unknown = {"pipeline": "short-lived", "dealstage": "mystery"}
    portal.update("deals", deals[unclear], unknown)
    portal.remove_pipeline("deals", "short-lived")
    portal.archive("companies", archived)
    portal.merge("companies", winner, loser)
    portal.remove_property("companies", "customer_status")
    portal.add_property(
        "companies",
        {"name": "status_2", "label": "S", "type": "string", "fieldType": "text"},
    )

    outcome = hubsync("sync", "--full")
    assert outcome.code == 0, outcome.err
    # Who was churned or paused by the property that is gone has not come back either.
    assert access(synced) == before
    flips = "select 1 from app.access_events where from_enabled <> to_enabled"
    assert query(synced, flips) == []
    new = findings(synced) - said_before
    assert sorted((kind, customer) for _, kind, customer in new) == sorted(
        [
            ("SUBSCRIPTION_WITHOUT_COMPANY", unlinked),
            ("SUBSCRIPTION_STATUS_UNKNOWN", unclear),
            ("ACCESS_HELD", archived),
            ("PROPERTY_NOT_IN_PORTAL", None),
        ]
    )


@ON_DUCKDB
@pytest.mark.usefixtures("failing_fast")
def test_an_answer_that_fails_or_is_empty_publishes_no_revocation(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    (churning, *_) = by_reason(synced, "SUBSCRIPTION_ACTIVE", 1)
    portal.update("companies", churning, {"customer_status": "churned"})
    # A new property has its values read from the lists, which have several pages.
    for name in ("contacts", "companies"):
        new = {"name": "new", "label": "N", "type": "string", "fieldType": "text"}
        portal.add_property(name, new)
    for number in range(150):
        portal.create("contacts", {"email": f"{number}@example.com"})
    before = app_rows(synced)
    for fault, skip, code, sentence in (
        ("500", 2, 1, "could not be read completely"),
        ("401", 2, 2, "does not accept the access token"),
    ):
        portal.faults.next(fault, "/contacts?", times=50, skip=skip)
        outcome = hubsync("sync", "--full")
        portal.faults.clear()
        assert outcome.code == code, outcome
        assert sentence in outcome.err
        assert app_rows(synced) == before, fault

    # Whatever an empty answer leaves out is asked for, so it says nothing either.
    had = access(synced)
    portal.faults.next("empty_list", "/companies?", times=50)
    outcome = hubsync("sync", "--full")
    assert "empty_list" in {kind for kind, _ in portal.faults.injected}
    assert outcome.code == 0, outcome.err
    assert access(synced) == {**had, churning: False}

"""What HubSpot's own history tells about a value: since when, before, and by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipelines import evidence, ops
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.history import Fact, read_changes
from pipelines.hubspot.objects import STANDARD, ObjectType
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import ON_DUCKDB

AT = datetime(2026, 6, 15, 14, 3, tzinfo=UTC)
TYPES: dict[str, ObjectType] = dict(STANDARD)


def status(company: str, value: str) -> Fact:
    return Fact("companies", company, "customer_status", value)


def test_the_change_to_a_value_is_found_with_the_value_before_it(
    portal: Portal, server: object
) -> None:
    one, two, gone = portal.live_ids("companies")[:3]
    for minutes, value in enumerate(("active", "churned", "active", "churned")):
        portal.clock.set(AT + timedelta(minutes=minutes - 3))
        portal.update("companies", one, {"customer_status": value})
    portal.clock.set(AT + timedelta(hours=1))
    portal.update("companies", one, {"phone": "decides nothing"})
    portal.update("companies", two, {"customer_status": "paused"})
    portal.archive("companies", gone)

    client = HubSpot(Settings.load())
    facts = [status(one, "churned"), status(two, "churned"), status(gone, "churned")]
    [change] = read_changes(client, TYPES, facts)
    assert change.fact == facts[0]
    assert (change.old_value, change.changed_at) == ("active", AT)
    assert (change.source_type, change.changed_by) == ("CRM_UI", "9000001")
    assert change.record_updated_at == AT + timedelta(hours=1)
    assert client.calls == {"history": 1}


def test_fifty_records_are_one_call_and_a_date_is_known_by_its_day(
    server: object, portal: Portal
) -> None:
    made = [
        portal.create("companies", {"name": f"C{n}", "customer_status": "churned"})
        for n in range(51)
    ]
    [deal] = portal.live_ids("deals")[:1]
    portal.update("deals", deal, {"closedate": "2026-06-01T09:00:00Z"})
    client = HubSpot(Settings.load())
    facts = [status(str(id), "churned") for id in made]
    facts.append(Fact("deals", deal, "closedate", "2026-06-01"))
    found = list(read_changes(client, TYPES, facts))
    assert [change.fact for change in found if change.fact.object_type == "deals"]
    assert len(found) == 52
    assert client.calls == {"history": 3}


@ON_DUCKDB
def test_a_history_that_cannot_be_read_is_a_note_and_forgets_what_was_known(
    warehouse: Warehouse, portal: Portal, server: object
) -> None:
    [company] = portal.live_ids("companies")[:1]
    portal.clock.set(AT)
    portal.update("companies", company, {"customer_status": "churned"})
    with warehouse.connect() as connection:
        ops.create_tables(connection)
        connection.execute(
            "create table ops.evidence_to_read as select 'companies' as object_type, "
            "? as object_id, 'customer_status' as property, 'churned' as value",
            (company,),
        )
    client = HubSpot(Settings.load())
    known = "select changed_at from ops.evidence_history"
    assert evidence.read_history(warehouse, client, TYPES.values()) == []
    assert ops.rows(warehouse, known) == [{"changed_at": AT}]
    assert evidence.read_history(warehouse, client, TYPES.values()) == []
    assert ops.rows(warehouse, known) == [{"changed_at": AT}]

    # What HubSpot no longer knows is kept as that, or it would be asked in every run.
    with warehouse.connect() as connection:
        connection.execute("update ops.evidence_to_read set value = 'never said'")
    assert evidence.read_history(warehouse, client, TYPES.values()) == []
    [unknown] = ops.rows(
        warehouse,
        "select changed_at, record_updated_at from ops.evidence_history "
        "where value = 'never said'",
    )
    assert unknown == {"changed_at": None, "record_updated_at": client.now()}
    with warehouse.connect() as connection:
        connection.execute("delete from ops.evidence_history where changed_at is null")
        connection.execute("update ops.evidence_to_read set value = 'churned'")

    portal.faults.next("500", path_contains="batch/read", times=2)
    [note] = evidence.read_history(warehouse, client, TYPES.values())
    assert "history of 1 values could not be read" in note
    assert ops.rows(warehouse, known) == [], "it may have been another change's"

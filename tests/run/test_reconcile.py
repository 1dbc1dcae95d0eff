"""`hubsync reconcile`: every difference found once, named, and mended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import Hubsync, app_rows, query
from tests.run.test_sync import _inject_duplicate, by_reason


def found(hubsync: Hubsync, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the result of a reconciliation."""
    outcome = hubsync("reconcile", "--json", *options)
    assert outcome.err == ""
    return outcome.code, json.loads(outcome.out)


def rows(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(table, key) -> kind of every difference."""
    return {(d["table"], d["key"]): d["kind"] for d in result["differences"]}


def value(result: dict[str, Any], table: str, key: str) -> dict[str, Any]:
    """The one value in which a row differs."""
    (row,) = [
        d for d in result["differences"] if (d["table"], d["key"]) == (table, key)
    ]
    (only,) = row["values"]
    assert isinstance(only, dict)
    return only


def corrupt(warehouse: Warehouse, sql: str, *parameters: Any) -> None:
    """Edit one row behind everybody's back."""
    with warehouse.connect() as connection:
        changed = connection.execute(f"{sql} returning 1", parameters)
        assert len(changed) == 1, sql


def test_everything_is_in_step_after_a_sync(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    before = app_rows(synced)
    code, result = found(hubsync)
    assert not result["differences"], result["differences"]
    assert code == 0
    assert result["in_step_percent"] == 100
    assert result["in_flight"] == 0
    compared = {t["table"]: t["compared"] for t in result["tables"]}
    assert compared["hubspot_raw.companies"] == len(portal.live_ids("companies")) + len(
        portal.archived_ids("companies")
    )
    assert compared["hubspot_raw.associations"] == len(portal.edges())
    assert compared["app.customers"] == len(before["customers"])
    assert app_rows(synced) == before
    assert "100 % in step" in hubsync("reconcile").out
    last = query(
        synced,
        "select command, status, exit_code from ops.sync_runs "
        "order by started_at desc limit 1",
    )
    assert last == [("reconcile", "done", 0)]


def test_seven_raw_rows_and_seven_app_rows_edited_by_hand_are_found_and_mended(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    published = app_rows(synced)
    companies = sorted(portal.live_ids("companies"))
    contacts = sorted(portal.live_ids("contacts"))
    deals = sorted(portal.live_ids("deals"))
    raw = "hubspot_raw"
    link = query(
        synced,
        f"select from_id, to_id, type_id from {raw}.associations "
        "where from_type = 'contacts' and to_type = 'companies' order by 1, 2 limit 1",
    )[0]
    (owner,) = query(synced, f"select id from {raw}.owners order by id limit 1")[0]
    corrupt(synced, f"update {raw}.companies set name = 'X' where id = ?", companies[0])
    corrupt(synced, f"update {raw}.companies set city = '' where id = ?", companies[1])
    corrupt(
        synced,
        f"update {raw}.contacts set _state = 'archived' where id = ?",
        contacts[0],
    )
    corrupt(synced, f"delete from {raw}.contacts where id = ?", contacts[1])
    corrupt(synced, f"update {raw}.deals set dealstage = 'x' where id = ?", deals[0])
    corrupt(
        synced,
        f"delete from {raw}.associations where from_type = 'contacts' and from_id = ? "
        "and to_type = 'companies' and to_id = ? and type_id = ?",
        *link,
    )
    corrupt(synced, f"update {raw}.owners set email = 'x@y.z' where id = ?", owner)

    active, other, third = by_reason(synced, "SUBSCRIPTION_ACTIVE", 3)
    (churned,) = by_reason(synced, "STATUS_CHURNED", 1)
    subscription, _ = query(
        synced,
        "select subscription_id, status from app.subscriptions "
        "where status = 'active' order by 1 limit 1",
    )[0]
    member, of = query(
        synced,
        "select contact_id, customer_id from app.memberships order by 1, 2 limit 1",
    )[0]
    (person,) = query(
        synced,
        "select contact_id from app.contacts where record_state = 'live' "
        "order by 1 desc limit 1",
    )[0]
    corrupt(synced, "update app.customers set name = 'Y' where customer_id = ?", active)
    corrupt(synced, "update app.customers set city = null where customer_id = ?", other)
    corrupt(
        synced, "update app.contacts set email = 'a@b.c' where contact_id = ?", person
    )
    corrupt(
        synced,
        "update app.subscriptions set status = 'ended' where subscription_id = ?",
        subscription,
    )
    corrupt(
        synced,
        "delete from app.memberships where contact_id = ? and customer_id = ?",
        member,
        of,
    )
    corrupt(
        synced, "update app.access set is_enabled = true where customer_id = ?", churned
    )
    corrupt(
        synced,
        'update app.access set evidence = \'{"object_id": "1"}\' where customer_id = ?',
        third,
    )

    contact, company, kind = link
    expected = {
        (f"{raw}.companies", companies[0]): "value",
        (f"{raw}.companies", companies[1]): "value",
        (f"{raw}.contacts", contacts[0]): "value",
        (f"{raw}.contacts", contacts[1]): "missing",
        (f"{raw}.deals", deals[0]): "value",
        (
            f"{raw}.associations",
            f"contacts {contact} → companies {company} (type {kind})",
        ): "missing",
        (f"{raw}.owners", owner): "value",
        ("app.customers", active): "value",
        ("app.customers", other): "value",
        ("app.contacts", person): "value",
        ("app.subscriptions", subscription): "value",
        ("app.memberships", f"{member} {of}"): "missing",
        ("app.access", churned): "value",
        ("app.access", third): "value",
    }
    code, result = found(hubsync)
    assert code == 1
    assert rows(result) == expected
    assert 0 < result["in_step_percent"] < 100
    record = portal.record("companies", companies[0])
    assert record is not None
    name = value(result, f"{raw}.companies", companies[0])
    assert name == {
        "column": "name",
        "ours": "X",
        "expected": record["properties"]["name"],
    }
    assert value(result, "app.access", churned)["column"] == "is_enabled"
    assert all(d["cause"] for d in result["differences"])
    printed = hubsync("reconcile")
    assert printed.code == 1
    assert "name: 'X', should be" in printed.out

    code, result = found(hubsync, "--repair")
    assert code == 0, result["after_repair"]["differences"]
    assert rows(result) == expected
    assert result["after_repair"]["in_step_percent"] == 100
    assert rows(result["after_repair"]) == {}
    assert found(hubsync)[0] == 0
    assert query(
        synced, "select is_enabled from app.access where customer_id = ?", churned
    ) == [(False,)]
    assert {name: len(each) for name, each in app_rows(synced).items()} == {
        name: len(each) + (name == "access_events") for name, each in published.items()
    }


def test_what_changed_since_the_last_sync_is_in_flight_and_no_difference(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    changed, archived, winner, loser = sorted(portal.live_ids("companies"))[:4]
    portal.update("companies", changed, {"name": "Another"})
    new = portal.create("contacts", {"email": "new@example.com"})
    portal.associate("contacts", new, "companies", changed)
    portal.archive("companies", archived)
    portal.merge("companies", winner, loser)
    code, result = found(hubsync)
    assert rows(result) == {}
    assert code == 0
    moving = {t["table"]: t["in_flight"] for t in result["tables"] if t["in_flight"]}
    assert moving["hubspot_raw.companies"] == 4
    assert moving["hubspot_raw.contacts"] == 1
    assert moving["hubspot_raw.associations"] >= 2
    assert hubsync("sync").code == 0
    code, result = found(hubsync)
    assert (code, rows(result), result["in_flight"]) == (0, {}, 0)


def test_links_that_left_doubled_records_and_rows_of_nobody_are_found_and_mended(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    # A link leaves without touching its records.
    edge = min(e for e in portal.edges() if (e[0], e[2]) == ("contacts", "companies"))
    portal.dissociate(*edge[:4])
    company = max(set(portal.live_ids("companies")) - {edge[3]})
    _inject_duplicate(synced, company)
    with synced.connect() as connection:
        connection.execute(
            "insert into hubspot_raw.products (id, _state) values ('123', 'live')"
        )
        connection.execute(
            "insert into hubspot_raw.associations "
            "(from_type, from_id, to_type, to_id, type_id, category) "
            "values ('companies', '123', 'contacts', '456', 280, 'HUBSPOT_DEFINED')"
        )
    code, result = found(hubsync)
    assert code == 1
    expected = {
        ("hubspot_raw.companies", company): "duplicate",
        ("hubspot_raw.products", "123"): "surplus",
        (
            "hubspot_raw.associations",
            "companies 123 → contacts 456 (type 280)",
        ): "surplus",
    }
    of_the_link = rows(result).items() - expected.items()
    assert rows(result).items() >= expected.items()
    assert {table for (table, _), _ in of_the_link} == {"hubspot_raw.associations"}
    assert {key.split()[0] for (_, key), _ in of_the_link} == {"contacts", "companies"}
    assert {kind for _, kind in of_the_link} == {"surplus"}
    code, result = found(hubsync, "--repair")
    assert (code, rows(result["after_repair"])) == (0, {})
    published = query(
        synced,
        "select 1 from app.memberships where contact_id = ? and customer_id = ?",
        edge[1],
        edge[3],
    )
    assert published == []


def test_a_calculated_value_that_moved_by_itself_is_named_as_such(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    name = query(
        synced,
        "select p.name from hubspot_raw.properties as p where p.calculated "
        "and p.object_type = 'deals' and p.column_name is not null order by 1 limit 1",
    )[0][0]
    deal = min(portal.live_ids("deals"))
    corrupt(
        synced, f"update hubspot_raw.deals set \"{name}\" = 'old' where id = ?", deal
    )
    _, result = found(hubsync)
    (difference,) = result["differences"]
    assert "calculated by HubSpot" in difference["cause"]


def test_there_is_nothing_to_compare_before_the_first_sync(
    warehouse: Warehouse, server: object, hubsync: Hubsync
) -> None:
    outcome = hubsync("reconcile")
    assert outcome.code == 1
    assert "Run hubsync sync first" in outcome.err


@pytest.mark.parametrize("option", [(), ("--repair",)])
def test_a_second_run_is_refused_while_one_is_running(
    synced: Warehouse, hubsync: Hubsync, option: tuple[str, ...]
) -> None:
    with synced.lock():
        assert hubsync("reconcile", *option).code == 75

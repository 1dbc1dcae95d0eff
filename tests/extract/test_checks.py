"""What no modified date tells: found by --full at once, and by the cadences alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.hubspot import reading
from pipelines.hubspot.raw import table
from pipelines.load import LoadReport
from pipelines.warehouse import Warehouse
from sandbox import Portal

Run = Callable[..., LoadReport]
Differences = Callable[[Warehouse, Portal], list[str]]

DAY = 24 * 60 * 60

# What a check decides is the same whatever the database: once is enough.
on_one_engine = pytest.mark.parametrize("target", ["postgres"], indirect=True)


def edit_silently(portal: Portal, dice: random.Random) -> None:
    """Archive, restore, merge both ways, erase, link and unlink; touch no record."""
    contacts = portal.live_ids("contacts")
    dice.shuffle(contacts)
    archived = portal.archived_ids("contacts")
    for contact in contacts[:4]:
        portal.archive("contacts", contact)
    for contact in archived[:2]:
        portal.restore("contacts", contact)
    portal.merge("contacts", contacts[4], contacts[5])
    portal.merge("contacts", contacts[6], contacts[7], new_id=True)
    for contact in contacts[8:11]:
        portal.privacy_delete("contacts", contact)
    links = sorted(e for e in portal.edges() if e[:1] + e[2:3] == ("deals", "contacts"))
    for kind, deal, other, contact, _ in dice.sample(links, 5):
        portal.dissociate(kind, deal, other, contact)
    companies = portal.live_ids("companies")
    for contact in contacts[11:16]:
        portal.associate("contacts", contact, "companies", dice.choice(companies))


def test_one_full_load_finds_all_of_it(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    edit_silently(portal, random.Random(1))
    load(full=True)
    assert differences(warehouse, portal) == []


def test_the_daily_checks_find_all_of_it_without_being_asked(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    edit_silently(portal, random.Random(2))
    portal.clock.advance(DAY + 60)
    report = load()
    assert report.calls.get("list", 0) == 0
    assert differences(warehouse, portal) == []


def test_a_privacy_deletion_leaves_the_id_and_no_value(
    load: Run, warehouse: Warehouse, portal: Portal
) -> None:
    contact = next(
        c
        for c in portal.live_ids("contacts")
        if (portal.record("contacts", c) or {})["properties"]["email"]
    )
    dropped = {"name": "nickname", "label": "N", "type": "string", "fieldType": "text"}
    portal.add_property("contacts", dropped)
    portal.update("contacts", contact, {"nickname": "Bee"})
    load()
    portal.remove_property("contacts", "nickname")
    email = (portal.record("contacts", contact) or {})["properties"]["email"]
    portal.privacy_delete("contacts", contact)
    load(full=True)
    with warehouse.connect() as connection:
        [row] = connection.execute(
            f"select * from {table('contacts')} where id = ?", (contact,)
        )
        values = dict(zip(connection.columns, row, strict=True))
        links = connection.execute(
            f"select 1 from {table('associations')} where from_id = ? or to_id = ?",
            (contact, contact),
        )
    assert values.pop("_state") == "erased"
    assert email not in str(values)
    assert {k for k, v in values.items() if v is not None} <= {
        "id",
        "_created_at",
        "_updated_at",
        "_dlt_load_id",
    }
    kinds = [
        k for k in ("companies", "deals", "tickets") if contact in portal.live_ids(k)
    ]
    assert kinds or links == []


@on_one_engine
def test_an_update_that_the_index_kept_back_for_two_days_is_found_by_the_audit(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    portal.index_lag = 2 * DAY
    portal.update("companies", portal.live_ids("companies")[0], {"name": "Late & Co"})
    load()
    portal.clock.advance(3 * DAY)
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_portal_that_sorts_ids_as_text_is_read_by_windows(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load()
    for contact in portal.live_ids("contacts")[:30]:
        portal.clock.advance(0.01)
        portal.touch("contacts", contact)
    portal.add_property(
        "companies",
        {"name": "health", "label": "Health", "type": "string", "fieldType": "text"},
    )
    company = portal.live_ids("companies")[0]
    portal.update("companies", company, {"health": "good"})
    portal.privacy_delete("contacts", portal.live_ids("contacts")[40])
    portal.clock.advance(DAY + 60)  # the audit is due as well

    def out_of_order(*_: Any, **__: Any) -> Any:
        raise reading.IdsOutOfOrder("search of contacts")
        yield

    monkeypatch.setattr(reading, "search_pages", out_of_order)
    monkeypatch.setattr("pipelines.checks.search_pages", out_of_order)
    monkeypatch.setattr(reading, "SEARCH_CAP", 20)
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_an_incomplete_check_decides_nothing(
    load: Run,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.hubspot.client.time.sleep", lambda seconds: None)
    load()
    contact = portal.live_ids("contacts")[0]
    portal.privacy_delete("contacts", contact)
    portal.faults.next("500", path_contains="contacts/batch/read?", times=100)
    with pytest.raises(AssertionError, match="contacts"):
        load(full=True)
    with warehouse.connect() as connection:
        states = connection.execute(
            f"select _state from {table('contacts')} where id = ?", (contact,)
        )
    assert states == [("live",)]


@on_one_engine
def test_a_repeated_list_that_shows_nothing_erases_nothing(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load()

    def empty(*_: Any, **__: Any) -> Any:
        return [], None

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.hubspot.listing.list_page", empty)
        load(full=True)
    assert differences(warehouse, portal) == []


@on_one_engine
def test_unchanged_checks_change_no_row(load: Run, portal: Portal) -> None:
    load()
    portal.clock.advance(DAY + 60)
    assert load().rows_changed == {}
    assert load(full=True).rows_changed == {}


@on_one_engine
def test_the_journal_tells_what_search_cannot_before_any_slow_check(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client_id, secret = portal.app
    monkeypatch.setenv("SOURCES__HUBSPOT__JOURNAL__CLIENT_ID", client_id)
    monkeypatch.setenv("SOURCES__HUBSPOT__JOURNAL__CLIENT_SECRET", secret)
    load()
    edit_silently(portal, random.Random(4))
    report = load()
    assert differences(warehouse, portal) == []
    assert report.calls.get("list", 0) == 0
    edit_silently(portal, random.Random(5))
    portal.clock.advance(4 * DAY)  # beyond the journal's window
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_list_that_ends_too_early_is_completed_in_the_same_load(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    portal.clock.advance(DAY)  # nothing is younger than the look-back
    whole = reading.list_page

    def first_page(*given: Any, **named: Any) -> Any:
        records, _ = whole(*given, **named)
        return records[:3], None

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.hubspot.listing.list_page", first_page)
        load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_seventeen_hundred_properties_and_a_retyped_one_lose_no_value(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    names = [f"custom_field_number_{i:04}" for i in range(1_700)]
    for name in names:
        portal.add_property(
            "contacts",
            {"name": name, "label": name, "type": "string", "fieldType": "text"},
        )
    wide, *others = portal.live_ids("contacts")
    portal.update("contacts", wide, dict.fromkeys(names, "wider than any page " * 3))
    for number, contact in enumerate(others[:20]):
        portal.update("contacts", contact, dict.fromkeys(names[number::30], "x"))
    load()
    assert differences(warehouse, portal) == []

    company = portal.live_ids("companies")[0]
    portal.update_property("companies", "name", {"type": "number"})
    portal.update("companies", company, {"name": "no number"})
    load()
    portal.update_property("companies", "name", {"type": "string"})
    portal.remove_property("contacts", names[5])
    portal.touch("contacts", wide)
    load()
    assert differences(warehouse, portal) == []

"""Raw equals HubSpot, on both engines, after a first load and after any edits."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.errors import ConfigurationError, PortalUnavailable
from pipelines.hubspot.raw import table
from pipelines.load import Load, LoadReport
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from sandbox import Portal

Run = Callable[..., LoadReport]
Differences = Callable[[Warehouse, Portal], list[str]]

# What the client does is the same whatever the database: once is enough.
on_one_engine = pytest.mark.parametrize("target", ["postgres"], indirect=True)

TYPES = ("companies", "contacts", "deals", "tickets", "subscriptions", "licenses")


def edit(portal: Portal, dice: random.Random) -> None:
    """One random edit of a kind that incremental reading must notice by itself."""
    kind = dice.choice(TYPES)
    live = portal.live_ids(kind)
    action = dice.choice(
        ["update", "update", "create", "archive", "restore", "merge", "link", "unlink"]
    )
    if action == "create":
        names = {"contacts": "email", "tickets": "subject", "companies": "name"}
        value = f"new-{dice.getrandbits(60)}@example.com"
        if kind in names:
            portal.create(kind, {names[kind]: value})
    elif action == "restore":
        if archived := portal.archived_ids(kind):
            portal.restore(kind, dice.choice(archived))
    elif len(live) < 3:
        return
    elif action == "update":
        portal.touch(kind, dice.choice(live))
    elif action == "archive":
        portal.archive(kind, dice.choice(live))
    elif action == "merge" and kind in ("companies", "contacts", "deals", "tickets"):
        winner, loser = dice.sample(live, 2)
        portal.merge(kind, winner, loser, new_id=dice.random() < 0.5)
    elif action == "link":
        contact = dice.choice(portal.live_ids("contacts"))
        company = dice.choice(portal.live_ids("companies"))
        portal.associate("contacts", contact, "companies", company)
        portal.touch("contacts", contact)
    elif action == "unlink":
        links = sorted(e for e in portal.edges() if e[0] == "deals")
        if links:
            kind_from, from_id, kind_to, to_id, _ = dice.choice(links)
            portal.dissociate(kind_from, from_id, kind_to, to_id)
            portal.touch(kind_from, from_id)


def test_the_first_load_is_exact(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    assert differences(warehouse, portal) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_any_edits_between_loads_leave_raw_equal_to_the_portal(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    seed: int,
) -> None:
    dice = random.Random(seed)
    load()
    for _ in range(3):
        for _ in range(dice.randrange(1, 25)):
            edit(portal, dice)
        load()
        assert differences(warehouse, portal) == []


def test_an_unchanged_portal_costs_one_search_per_type_and_changes_no_row(
    load: Run, warehouse: Warehouse, server: Any
) -> None:
    load()
    server.calls.clear()
    report = load()
    assert report.rows_changed == {}
    assert report.calls["search"] <= 8
    assert sum(report.calls.values()) - report.calls["search"] <= 25
    assert report.calls.get("associations", 0) == 0
    assert sum(server.calls.values()) == sum(report.calls.values())


@on_one_engine
def test_an_edit_costs_its_own_searches_and_links_only(
    load: Run, portal: Portal
) -> None:
    load()
    for deal in portal.live_ids("deals")[:5]:
        portal.touch("deals", deal)
    report = load()
    assert report.rows_changed == {"deals": 5}
    assert report.calls["search"] <= 8
    assert report.calls["associations"] <= 8


def test_more_than_ten_thousand_records_in_one_millisecond_are_all_read(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    for i in range(10_500):
        portal.create("tickets", {"subject": f"t{i}"})
    load()
    at = portal.clock.now()
    portal.clock.set(at)  # time stands still: one timestamp for all
    for ticket in portal.live_ids("tickets"):
        portal.touch("tickets", ticket)
    load()
    assert differences(warehouse, portal) == []
    report = load()
    assert report.calls["search"] < 8 + 10_500 / 200 + 10


@on_one_engine
def test_a_late_index_delays_a_change_and_never_loses_it(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    portal.index_lag = 30
    for contact in portal.live_ids("contacts")[:7]:
        portal.touch("contacts", contact)
    load()
    portal.clock.advance(31)
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_faults_of_every_kind_cost_retries_and_no_record(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.hubspot.client.time.sleep", lambda seconds: None)
    portal.faults.rate = 0.1
    dice = random.Random(7)
    for _ in range(2):
        load()
        for _ in range(10):
            edit(portal, dice)
    portal.faults.rate = 0.0
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_type_that_fails_keeps_its_place_and_does_not_lose_the_others(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.hubspot.client.time.sleep", lambda seconds: None)
    portal.faults.next("500", path_contains="/deals", times=10_000)
    portal.faults.clear()
    load()
    portal.touch("deals", portal.live_ids("deals")[0])
    portal.touch("contacts", portal.live_ids("contacts")[0])
    portal.faults.next("500", path_contains="deals/search", times=100)
    report = Load(warehouse, Settings.load()).run()
    assert not report.complete
    assert [f for f in report.failures if f.startswith("deals: ")] == report.failures
    assert report.rows_changed == {"contacts": 1}
    portal.faults.clear()
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_crash_between_records_and_links_loses_no_link(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load()
    deal = portal.live_ids("deals")[0]
    linked = {e[3] for e in portal.edges() if e[:3] == ("deals", deal, "companies")}
    company = next(c for c in portal.live_ids("companies") if c not in linked)
    portal.associate("deals", deal, "companies", company)
    portal.touch("deals", deal)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Load, "link", crash)
        with pytest.raises(KeyboardInterrupt):
            load()
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_first_load_of_several_rounds_resumes_where_it_stopped(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.hubspot.reading.LIST_PAGE", 10)
    monkeypatch.setattr("pipelines.hubspot.sweep.ROUND", 25)
    monkeypatch.setattr("pipelines.hubspot.listing.BATCH", 10)
    original = Load._round
    rounds = 0

    def stop_after_two(self: Load, *given: Any) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise KeyboardInterrupt
        original(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Load, "_round", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            load()
    report = load()
    contacts = len(portal.live_ids("contacts"))
    assert report.rows_read["contacts"] <= contacts - 40
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_new_property_brings_the_values_it_already_has(
    load: Run, differences: Differences, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    portal.add_property(
        "companies",
        {"name": "health", "label": "Health", "type": "string", "fieldType": "text"},
    )
    portal.update("companies", portal.live_ids("companies")[0], {"health": "good"})
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_a_stage_that_disappears_stays_known_as_missing(
    load: Run, warehouse: Warehouse, portal: Portal
) -> None:
    load()
    stages = portal.pipelines["deals"]["renewal"]["stages"]
    portal.update_pipeline("deals", "renewal", {"label": "Again", "stages": stages[:2]})
    load()
    with warehouse.connect() as connection:
        found = connection.execute(
            f"select pipeline_label, stage_id, _state from {table('pipelines')} "
            "where object_type = 'deals' and pipeline_id = 'renewal' order by stage_id"
        )
    states = {stage: (label, state) for label, stage, state in found}
    assert len(found) == len(states) == len(stages)
    assert [s for s, (_, state) in states.items() if state == "missing"] == [
        stages[2]["id"]
    ]
    assert {label for label, state in states.values() if state == "live"} == {"Again"}


@on_one_engine
def test_a_wrong_token_and_a_missing_scope_are_configuration(
    warehouse: Warehouse, portal: Portal, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat-na1-wrong")
    with pytest.raises(ConfigurationError, match="does not accept the access token"):
        Load(warehouse, Settings.load()).run()
    portal.add_token("narrow", scopes={"crm.objects.companies.read"})
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "narrow")
    with pytest.raises(ConfigurationError, match=r"scope .*read"):
        Load(warehouse, Settings.load()).run()


@on_one_engine
def test_another_portal_than_the_configured_one_is_refused(
    warehouse: Warehouse, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__PORTAL_ID", "1")
    with pytest.raises(ConfigurationError, match="belongs to HubSpot portal"):
        Load(warehouse, Settings.load()).run()


@on_one_engine
def test_an_unreachable_host_ends_after_bounded_tries(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.hubspot.client.time.sleep", lambda seconds: None)
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat-na1-any")
    with pytest.raises(PortalUnavailable, match="after 6 tries"):
        Load(warehouse, Settings.load()).run()


@on_one_engine
def test_a_pair_of_types_that_hubspot_refuses_is_said_and_the_others_are_read(
    load: Run, warehouse: Warehouse, portal: Portal
) -> None:
    portal.faults.next("400", path_contains="tickets/deals/batch/read", times=1)
    report = load()
    assert [note for note in report.notes if "tickets with deals" in note]
    with warehouse.connect() as connection:
        pairs = connection.execute(
            f"select distinct from_type, to_type from {table('associations')}"
        )
    assert ("deals", "companies") in pairs
    assert ("tickets", "deals") not in pairs

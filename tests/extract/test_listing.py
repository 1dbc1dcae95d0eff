"""A list read in ranges of ids: every record once, whatever the ids look like."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.hubspot import listing, reading, records
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.columns import assign_columns
from pipelines.hubspot.definitions import read_definitions
from pipelines.hubspot.listing import Listing, OpaqueList, Spans, joined
from pipelines.hubspot.records import page_decoder
from pipelines.load import LoadReport
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from sandbox import Portal
from sandbox.server import Server

Run = Callable[..., LoadReport]
Differences = Callable[[Warehouse, Portal], list[str]]

on_one_engine = pytest.mark.parametrize("target", ["postgres"], indirect=True)

spans = st.lists(
    st.tuples(st.integers(0, 60), st.one_of(st.none(), st.integers(0, 60))).map(
        lambda each: each if each[1] is None else (min(each), max(each))  # type: ignore[type-var]
    ),
    max_size=6,
)


@given(spans)
def test_what_is_removed_is_no_longer_left_and_the_text_says_the_same(
    removed: list[tuple[int, int | None]],
) -> None:
    left = Spans()
    for low, high in removed:
        left.remove(low, high)
    read = Spans.parse(str(left) or "0-0")
    assert read is not None
    for number in range(70):
        gone = any(
            low <= number and (high is None or number < high) for low, high in removed
        )
        assert (number in left) == (number in read) == (not gone)
        within = any(
            low <= number and (high is None or number < high)
            for low, high in joined(removed)
        )
        assert within == gone


def test_an_opaque_cursor_is_no_ranges() -> None:
    assert Spans.parse("after=ZmlmdHk=") is None


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hubspot.reading.LIST_PAGE", 10)
    monkeypatch.setattr("pipelines.hubspot.listing.LIST_PAGE", 10)
    monkeypatch.setattr("pipelines.hubspot.listing.BATCH", 30)


@pytest.fixture
def client(server: Server) -> HubSpot:
    return HubSpot(Settings.load())


def ids_of(client: HubSpot, remaining: Spans, name: str = "contacts") -> list[str]:
    kind = read_definitions(client).object_types[name]
    reader = Listing(
        client,
        kind,
        ["email"],
        remaining,
        lambda pages: [each for page in pages for each in records.ids_of(page)],
        page_decoder(assign_columns(["email"])),
    )
    return [each for batch in reader.batches() for each in batch.rows]


def gaps(dice: random.Random) -> Iterator[int]:
    """Ids as old portals have them: dense, then sparse, then far away."""
    number = 1
    while True:
        number += dice.choice([1, 1, 1, 2, 40, 900_000])
        yield number


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_several_readers_read_every_record_once(
    small_pages: None, client: HubSpot, portal: Portal, seed: int
) -> None:
    dice = random.Random(seed)
    portal.latency_seconds = 0.003
    number = gaps(dice)
    highest = max(map(int, portal.live_ids("contacts")))
    for _ in range(700):
        portal.create("contacts", {}, id=highest + next(number))
    found = ids_of(client, Spans())
    assert sorted(found, key=int) == portal.live_ids("contacts")
    assert len(found) == len(set(found))
    pages = -(-len(found) // 10)
    assert client.calls["list"] <= 1.2 * pages + 2


def test_a_late_list_is_read_by_several_at_once(
    small_pages: None, client: HubSpot, portal: Portal
) -> None:
    for _ in range(800):
        portal.create("contacts")
    asking: set[int] = set()
    most = 0
    lock = threading.Lock()

    def note(method: str, target: str) -> None:
        nonlocal most
        with lock:
            asking.add(threading.get_ident())
            most = max(most, len(asking))

    portal.before_request.append(note)
    portal.latency_seconds = 0.01
    ids_of(client, Spans())
    assert most >= listing.READERS


def test_only_the_ranges_that_are_left_are_read(
    small_pages: None, client: HubSpot, portal: Portal
) -> None:
    live = portal.live_ids("contacts")
    low, high = live[20], live[60]
    found = ids_of(client, Spans([(int(low), int(high))]))
    assert sorted(found, key=int) == live[20:60]


def opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    """HubSpot's list with cursors that are words, and pages in another order."""
    whole = reading.list_page

    def page(*given: Any, after: str | None = None, **named: Any) -> Any:
        after = None if after is None else after.removeprefix("page-")
        listed, following = whole(*given, after=after, **named)
        return listed[::-1], None if following is None else f"page-{following}"

    monkeypatch.setattr("pipelines.hubspot.reading.list_page", page)
    monkeypatch.setattr("pipelines.hubspot.listing.list_page", page)


def test_a_cursor_that_is_no_id_is_refused(
    small_pages: None, client: HubSpot, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    opaque(monkeypatch)
    with pytest.raises(OpaqueList):
        ids_of(client, Spans())


@on_one_engine
def test_opaque_cursors_are_followed_one_by_one(
    small_pages: None,
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opaque(monkeypatch)
    load()
    assert differences(warehouse, portal) == []
    portal.archive("contacts", portal.live_ids("contacts")[33])
    load(full=True)
    assert differences(warehouse, portal) == []


def test_a_first_load_appends_only_what_is_certainly_not_there(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
    small_pages: None,
) -> None:
    """Killed between records and watermark: the same records are listed again."""
    monkeypatch.setattr("pipelines.hubspot.sweep.ROUND", 40)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.load.Load.link", killed)
        with pytest.raises(KeyboardInterrupt):
            load()
    load()
    assert differences(warehouse, portal) == []


@on_one_engine
def test_records_made_while_the_list_is_read_are_no_cause_for_an_audit(
    load: Run,
    differences: Differences,
    warehouse: Warehouse,
    portal: Portal,
    small_pages: None,
) -> None:
    portal.clock.advance(7 * 24 * 3600)

    def create(method: str, target: str) -> None:
        if "/contacts?" in target and len(portal.live_ids("contacts")) % 7:
            portal.create("contacts", {"email": f"{portal.clock.now_ms()}@x.example"})

    portal.before_request.append(create)
    first = load()
    portal.before_request.clear()
    assert first.calls["search"] <= 3 * first.calls["archived"]
    load()
    assert differences(warehouse, portal) == []

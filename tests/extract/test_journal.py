"""The journal tells what search cannot, and never more than a note when it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.errors import ConfigurationError
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.journal import JournalRead, JournalUnavailable, read_journal
from pipelines.hubspot.objects import STANDARD
from pipelines.settings import Settings
from sandbox import Portal, Server, serve

Read = Callable[[str | None], JournalRead]

TYPES = {name: STANDARD[name] for name in ("companies", "contacts", "deals")}
SECRET = "a-secret-nobody-may-see"


@pytest.fixture
def portal() -> Portal:
    portal = Portal()
    portal.app = ("app-1", SECRET)
    portal.clock.set(datetime(2026, 11, 20, 12, tzinfo=UTC))
    return portal


@pytest.fixture
def server(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve(portal) as running:
        monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", running.url)
        monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", portal.token)
        monkeypatch.setenv("SOURCES__HUBSPOT__JOURNAL__CLIENT_ID", "app-1")
        monkeypatch.setenv("SOURCES__HUBSPOT__JOURNAL__CLIENT_SECRET", SECRET)
        monkeypatch.setattr("pipelines.hubspot.client.random.uniform", lambda *_: 0.0)
        yield running


@pytest.fixture
def read(server: Server) -> Read:
    """One read of the journal by a fresh process."""

    def once(offset: str | None) -> JournalRead:
        settings = Settings.load()
        return read_journal(HubSpot(settings), settings, TYPES, offset)

    return once


def calls(server: Server, part: str) -> int:
    return sum(part in path for _, path, _ in server.requests)


def test_the_first_use_subscribes_and_starts_from_now(
    portal: Portal, read: Read
) -> None:
    portal.create("companies")
    first = read(None)
    assert first.offset is not None
    assert (first.changed, first.lost_window) == ({}, False)
    assert first.uncovered == frozenset()
    company = portal.create("companies")
    second = read(first.offset)
    assert second.changed == {"companies": {company}}
    # Where entries exist already, a first use does not tell them either.
    assert read(None).changed == {}
    third = read(second.offset)
    assert (third.changed, third.lost_window) == ({}, False)


def test_edits_of_every_kind_come_to_their_last_word(
    portal: Portal, read: Read
) -> None:
    companies = [portal.create("companies", {"name": str(n)}) for n in range(9)]
    contacts = [portal.create("contacts") for _ in range(3)]
    portal.archive("companies", companies[2])
    offset = read(None).offset

    made = portal.create("deals", {"dealname": "D"})
    portal.update("companies", companies[0], {"name": "new"})
    portal.update("companies", companies[1], {"name": "new"})
    portal.archive("companies", companies[1])  # changed, then deleted
    portal.restore("companies", companies[2])
    portal.archive("companies", companies[3])
    portal.restore("companies", companies[3])  # deleted, then restored
    portal.merge("companies", companies[4], companies[5])
    new = portal.merge("companies", companies[6], companies[4], new_id=True)
    portal.update("contacts", contacts[0], {"firstname": "Ada"})
    portal.privacy_delete("contacts", contacts[0])
    portal.associate("contacts", contacts[1], "companies", companies[7])
    portal.associate("contacts", contacts[2], "companies", companies[8])
    portal.dissociate("contacts", contacts[2], "companies", companies[8])
    portal.create("tickets")  # not loaded, so not told

    told = read(offset)
    assert told.changed == {"companies": {companies[0], new}, "deals": {made}}
    assert told.deleted == {"companies": {companies[1]}}
    assert told.restored == {"companies": {companies[2], companies[3]}}
    assert told.merged == {
        "companies": {companies[4]: new, companies[5]: new, companies[6]: new}
    }
    assert told.erased == {"contacts": {contacts[0]}}
    assert told.relinked == {
        "companies": {companies[7], companies[8], new},
        "contacts": {contacts[1], contacts[2]},
    }
    assert not told.lost_window


def test_links_that_follow_a_merge_are_told(portal: Portal, read: Read) -> None:
    contact = portal.create("contacts")
    kept, gone = portal.create("companies"), portal.create("companies")
    portal.associate("contacts", contact, "companies", gone)
    offset = read(None).offset
    portal.merge("companies", kept, gone)
    assert read(offset).relinked == {"contacts": {contact}, "companies": {kept}}


def test_many_entries_are_read_to_the_end(portal: Portal, read: Read) -> None:
    offset = read(None).offset
    portal.journal.page = 2
    made = {portal.create("companies") for _ in range(9)}
    told = read(offset)
    assert told.changed == {"companies": made}
    assert read(told.offset).changed == {}


def test_reading_the_same_offset_again_tells_the_same(
    portal: Portal, read: Read
) -> None:
    offset = read(None).offset
    portal.journal.page = 2
    companies = [portal.create("companies") for _ in range(4)]
    portal.archive("companies", companies[0])
    portal.merge("companies", companies[1], companies[2])
    assert read(offset) == read(offset)


@pytest.mark.parametrize("busy", [False, True])
def test_more_than_three_days_without_a_look_lose_the_window(
    portal: Portal, read: Read, busy: bool
) -> None:
    offset = read(None).offset
    if busy:
        portal.create("companies")
        offset = read(offset).offset
    portal.clock.advance(3 * 86_400 + 1)
    late = read(offset)
    assert late.lost_window
    company = portal.create("companies")
    told = read(late.offset)
    assert (told.changed, told.lost_window) == ({"companies": {company}}, False)


def test_a_quiet_portal_never_loses_its_window(portal: Portal, read: Read) -> None:
    offset = read(None).offset
    for _ in range(4):
        portal.clock.advance(86_400)
        told = read(offset)
        assert not told.lost_window
        offset = told.offset
    company = portal.create("companies")
    assert read(offset).changed == {"companies": {company}}


@pytest.mark.parametrize("offset", ["00000000-0000-4000-8000-000000000000", "nonsense"])
def test_an_offset_nobody_knows_loses_the_window_and_starts_again(
    portal: Portal, read: Read, offset: str
) -> None:
    read(None)
    portal.create("companies")
    told = read(offset)
    assert told.lost_window
    assert (told.changed, read(told.offset).lost_window) == ({}, False)


def test_a_subscription_that_was_missing_is_made_and_loses_the_window(
    portal: Portal, server: Server, read: Read
) -> None:
    offset = read(None).offset
    portal.journal.unsubscribe([1])
    told = read(offset)
    assert told.lost_window
    server.reset_counts()
    assert not read(told.offset).lost_window
    made = [path for method, path, _ in server.requests if method == "POST"]
    assert made == ["/oauth/2026-09/token"]


def test_what_others_subscribed_to_stays(portal: Portal, read: Read) -> None:
    portal.journal.subscribe(
        {
            "subscriptionType": "ASSOCIATION",
            "portalId": portal.portal_id,
            "objectTypeId": "0-2",
            "actions": ["ASSOCIATION_ADDED"],
            "associatedObjectTypeIds": ["0-5"],
        }
    )
    read(None)
    one = portal.journal.subscriptions[1]
    assert one["actions"] == ["ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"]
    assert set(one["associatedObjectTypeIds"]) == {"0-1", "0-2", "0-3", "0-5"}


def test_a_type_that_may_not_be_subscribed_is_named_and_the_rest_is_read(
    portal: Portal, server: Server
) -> None:
    settings = Settings.load()
    types = {**TYPES, "leads": STANDARD["leads"]}
    portal.faults.next(400, "/subscriptions/", times=1, skip=1)  # the first POST
    told = read_journal(HubSpot(settings), settings, types, None)
    assert told.uncovered == {"companies"}
    offset = told.offset
    company, contact = portal.create("companies"), portal.create("contacts")
    told = read_journal(HubSpot(settings), settings, types, offset)
    assert told.changed == {"contacts": {contact}}
    assert company not in told.changed
    # It is asked for again, now granted; what came before is lost.
    assert (told.uncovered, told.lost_window) == (frozenset(), True)


def test_a_token_about_to_end_is_replaced_before_it_is_used(
    portal: Portal, server: Server, read: Read
) -> None:
    offset = read(None).offset
    portal.journal.page = 1
    made = {portal.create("companies") for _ in range(3)}
    server.reset_counts()
    assert read(offset).changed == {"companies": made}
    assert calls(server, "/oauth/") == 1
    portal.journal.token_seconds = 30
    server.reset_counts()
    assert read(offset).changed == {"companies": made}
    assert calls(server, "/oauth/") > 1
    assert all(status != 401 for _, _, status in server.requests)


def test_a_revoked_token_is_replaced_once(
    portal: Portal, server: Server, read: Read
) -> None:
    offset = read(None).offset
    company = portal.create("companies")

    def revoke(_method: str, path: str) -> None:
        if "/offset/" in path or "/earliest" in path:
            portal.before_request.remove(revoke)
            portal.journal.tokens.clear()
            portal.tokens = {portal.token: portal.tokens[portal.token]}

    portal.before_request.append(revoke)
    server.reset_counts()
    assert read(offset).changed == {"companies": {company}}
    assert calls(server, "/oauth/") == 2


def test_a_file_whose_url_has_expired_is_asked_for_again(
    portal: Portal, server: Server, read: Read
) -> None:
    offset = read(None).offset
    company = portal.create("companies")
    portal.faults.next(403, "/presigned/")
    assert read(offset).changed == {"companies": {company}}
    portal.faults.next(403, "/presigned/", times=2)
    with pytest.raises(JournalUnavailable, match="did not answer"):
        read(offset)


@pytest.mark.parametrize(
    "kind", ["500", "reset", "truncated", "cut", "html", "429_secondly"]
)
@pytest.mark.parametrize("path", ["/oauth/", "/subscriptions/", "/offset/", "presign"])
def test_faults_that_pass_are_waited_out(
    portal: Portal,
    read: Read,
    kind: str,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.hubspot.budget.Budget.pause", lambda *_: None)
    portal.journal.page = 1
    first = portal.create("companies")
    offset = read(None).offset
    portal.update("companies", first, {"name": "A"})
    offset = read(offset).offset
    portal.update("companies", first, {"name": "B"})
    portal.faults.next(kind, path)
    assert read(offset).changed == {"companies": {first}}
    assert portal.faults.injected


def test_what_does_not_pass_is_a_note_and_not_a_failure(
    portal: Portal, server: Server, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset = read(None).offset
    portal.create("companies")
    for path in ("/oauth/", "/subscriptions/", "/journal/", "/presigned/"):
        portal.faults.next(502, path, times=3)
        with pytest.raises(JournalUnavailable, match="found without it"):
            read(offset)
    portal.faults.next(403, "/subscriptions/")
    with pytest.raises(JournalUnavailable, match="not installed"):
        read(offset)
    portal.app = ("app-1", "another")
    with pytest.raises(JournalUnavailable, match="JOURNAL__CLIENT_ID"):
        read(offset)


def test_odd_events_and_those_of_other_portals_are_left_out(
    portal: Portal, read: Read
) -> None:
    offset = read(None).offset
    company = portal.create("companies")
    portal.create("companies")
    events = portal.journal.entries()[-1].events
    events[1]["portalId"] = 1
    odd: list[Any] = [
        "text",
        {"type": "app_lifecycle_event", "portalId": portal.portal_id},
        {**events[0], "action": "SNAPSHOT", "objectId": 1},
        {**events[0], "objectId": None},
        {**events[0], "action": "MERGE", "objectId": None},
    ]
    events.extend(odd)
    assert read(offset).changed == {"companies": {company}}


def test_a_merge_event_may_name_the_new_record_beside_the_primary(
    portal: Portal, read: Read
) -> None:
    offset = read(None).offset
    portal.create("companies")
    event = portal.journal.entries()[-1].events[0]
    event.update(action="MERGE", objectId=1, mergedObjectIds=[2], newObjectId=3)
    assert read(offset).merged == {"companies": {"1": "3", "2": "3"}}


def test_the_secret_and_the_files_urls_are_in_no_log(
    portal: Portal, server: Server, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    offset = read(None).offset
    portal.create("companies")
    portal.faults.next(502, "/presigned/")
    portal.faults.next(502, "/oauth/")
    read(offset)
    ours = "\n".join(
        r.getMessage() for r in caplog.records if r.name.startswith("pipelines")
    )
    assert "/presigned/" in ours
    assert "Signature" not in ours
    assert SECRET not in caplog.text
    assert not any(token in ours for token in portal.tokens)
    assert SECRET not in repr(Settings.load())


def test_half_of_the_credentials_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCES__HUBSPOT__JOURNAL__CLIENT_SECRET")
    with pytest.raises(ConfigurationError, match="both or neither"):
        Settings.load()
    monkeypatch.delenv("SOURCES__HUBSPOT__JOURNAL__CLIENT_ID")
    assert Settings.load().journal_client_id is None

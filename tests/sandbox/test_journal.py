"""The webhooks journal: an app's token, subscriptions, entries, three days."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox import Portal, Server

BASE = "/webhooks-journal"
JOURNAL = f"{BASE}/journal/2026-09"
SUBSCRIPTIONS = f"{BASE}/subscriptions/2026-09"


class App:
    """A plain client of the journal, with a token of its own."""

    def __init__(self, url: str, portal: Portal, **form: str) -> None:
        self.url, self.portal = url, portal
        given = {
            "grant_type": "client_credentials",
            "client_id": self.portal.app[0],
            "client_secret": self.portal.app[1],
            **form,
        }
        self.granted = requests.post(
            f"{self.url}/oauth/2026-09/token", data=given, timeout=20
        )

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        token = self.granted.json()["access_token"]
        return requests.request(
            method,
            self.url + path,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )

    def subscribe(self, kind: str, type_id: str, *actions: str, **more: Any) -> Any:
        body = {
            "subscriptionType": kind,
            "portalId": self.portal.portal_id,
            "objectTypeId": type_id,
            "actions": actions,
            **more,
        }
        answer = self("POST", SUBSCRIPTIONS, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def next(self, offset: str | None = None) -> tuple[str, list[Any]] | None:
        """Offset and events of the next entry, or None where there is nothing new."""
        path = "earliest" if offset is None else f"offset/{offset}/next"
        answer = self("GET", f"{JOURNAL}/{path}")
        if answer.status_code == 204:
            return None
        assert answer.status_code == 200, answer.text
        entry = answer.json()
        found = requests.get(entry["url"], timeout=20).json()
        assert found["offset"] == entry["currentOffset"]
        return entry["currentOffset"], found["journalEvents"]

    def events(self) -> list[Any]:
        found, offset = [], None
        while (entry := self.next(offset)) is not None:
            offset, events = entry
            found += events
        return found


@pytest.fixture
def app(server: Server, portal: Portal) -> App:
    portal.clock.set(datetime(2026, 11, 20, 12, tzinfo=UTC))
    return App(server.url, portal)


def everything(app: App) -> None:
    for type_id in ("0-1", "0-2"):
        app.subscribe(
            "OBJECT", type_id, "CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE"
        )
    app.subscribe("GDPR_PRIVACY_DELETION", "0-1", "GDPR_DELETE")
    app.subscribe(
        "ASSOCIATION",
        "0-1",
        "ASSOCIATION_ADDED",
        "ASSOCIATION_REMOVED",
        associatedObjectTypeIds=["0-2"],
    )


def test_every_kind_of_change_is_told_in_order(portal: Portal, app: App) -> None:
    everything(app)
    first, second = (portal.create("companies", {"name": n}) for n in "AB")
    portal.update("companies", first, {"name": "A2"})
    portal.archive("companies", first)
    portal.restore("companies", first)
    portal.merge("companies", first, second)
    contact = portal.create("contacts", {"email": "a@example.com"})
    portal.associate("contacts", contact, "companies", first)
    portal.dissociate("contacts", contact, "companies", first)
    found = app.events()
    told = [event["action"] for event in found]
    assert told == [
        "CREATE",
        "CREATE",
        "UPDATE",
        "DELETE",
        "RESTORE",
        "MERGE",
        "UPDATE",  # the survivor's hs_merged_object_ids
        "CREATE",
        "ASSOCIATION_ADDED",
        "ASSOCIATION_REMOVED",
    ]
    assert found[2] == {
        "type": "crmObject",
        "portalId": portal.portal_id,
        "occurredAt": "2026-11-20T12:00:00.000Z",
        "action": "UPDATE",
        "objectTypeId": "0-2",
        "objectId": int(first),
        "propertyChanges": {"name": "A2"},
    }
    assert found[5]["objectId"] == int(first)
    assert found[5]["mergedObjectIds"] == [int(second)]
    link = found[8]
    assert (link["fromObjectTypeId"], link["fromObjectId"]) == ("0-1", int(contact))
    assert (link["toObjectTypeId"], link["toObjectId"]) == ("0-2", int(first))
    assert (link["associationTypeId"], link["isPrimary"]) == (279, False)


def test_a_privacy_deletion_is_told_twice_in_no_fixed_order(
    portal: Portal, app: App
) -> None:
    everything(app)
    for _ in range(12):
        portal.privacy_delete("contacts", portal.create("contacts"))
    told = [e["action"] for e in app.events() if e["action"] != "CREATE"]
    pairs = {tuple(told[i : i + 2]) for i in range(0, len(told), 2)}
    assert pairs == {("GDPR_DELETE", "DELETE"), ("DELETE", "GDPR_DELETE")}


def test_only_what_is_subscribed_is_told(portal: Portal, app: App) -> None:
    company = portal.create("companies")
    told = app.subscribe("OBJECT", "0-2", "UPDATE", properties=["name"])
    portal.update("companies", company, {"city": "Bern"})
    portal.update("companies", company, {"name": "B"})
    portal.touch("companies", company)
    portal.archive("companies", company)
    portal.create("deals")
    assert [e["propertyChanges"] for e in app.events()] == [{"name": "B"}]

    # A second subscription of the same type and object replaces the first.
    assert app.subscribe("OBJECT", "0-2", "RESTORE")["id"] == told["id"]
    listed = app("GET", SUBSCRIPTIONS).json()["results"]
    assert [one["actions"] for one in listed] == [["RESTORE"]]
    one = f"{SUBSCRIPTIONS}/{told['id']}"
    assert app("GET", one).json() == listed[0]
    assert app("DELETE", one).status_code == 204
    assert app("DELETE", one).status_code == 404
    portal.restore("companies", company)
    assert len(app.events()) == 1
    app.subscribe("OBJECT", "0-2", "CREATE")
    path = f"{SUBSCRIPTIONS}/portals/{portal.portal_id}"
    assert app("DELETE", path).status_code == 204
    assert app("GET", SUBSCRIPTIONS).json() == {"results": []}


def test_entries_have_a_bounded_number_of_events(portal: Portal, app: App) -> None:
    everything(app)
    portal.journal.page = 3
    for _ in range(7):
        portal.create("companies")
    offset, sizes, offsets = None, [], []
    while (entry := app.next(offset)) is not None:
        offset, events = entry
        sizes.append(len(events))
        offsets.append(offset)
    assert sizes == [3, 3, 1]
    assert app("GET", f"{JOURNAL}/latest").json()["currentOffset"] == offsets[-1]

    def batch(path: str) -> list[str]:
        found = app("GET", f"{BASE}/journal-local/2026-09/batch/{path}").json()
        return [one["currentOffset"] for one in found["results"]]

    assert batch("earliest/2") == offsets[:2]
    assert batch("latest/2") == offsets[1:]
    assert batch(f"{offsets[0]}/next/100") == offsets[1:]
    lost = "00000000-0000-4000-8000-000000000000"
    read = app("POST", f"{JOURNAL}/batch/read", {"inputs": [offsets[1], lost]})
    assert read.status_code == 207
    assert [one["currentOffset"] for one in read.json()["results"]] == offsets[1:2]
    assert read.json()["errors"][0]["context"] == {"offset": [lost]}


def test_entries_last_three_days_of_the_portals_clock(portal: Portal, app: App) -> None:
    everything(app)
    portal.create("companies")
    entry = app.next()
    assert entry is not None
    assert app.next(entry[0]) is None
    portal.clock.advance(3 * 86_400)
    late = App(app.url, portal)  # the first token is long expired
    assert late("GET", f"{JOURNAL}/offset/{entry[0]}/next").status_code == 404
    assert late("GET", f"{JOURNAL}/offset/nonsense/next").status_code == 400
    for end in ("earliest", "latest"):
        assert late("GET", f"{JOURNAL}/{end}").status_code == 204


def test_only_the_apps_own_token_reads_the_journal(
    portal: Portal, server: Server, app: App, api: Any
) -> None:
    assert api("GET", f"{JOURNAL}/earliest").status_code == 403  # a service key
    assert app("GET", "/crm/objects/2026-09/companies").status_code == 403
    narrow = App(server.url, portal, scope="developer.webhooks_journal.read")
    assert narrow("GET", f"{JOURNAL}/earliest").status_code == 204
    assert narrow("GET", SUBSCRIPTIONS).status_code == 403
    for wrong in ("client_id", "client_secret", "grant_type", "scope"):
        assert App(server.url, portal, **{wrong: "wrong"}).granted.status_code == 400
    assert app.granted.json()["expires_in"] == 1800
    portal.clock.advance(1801)
    expired = app("GET", f"{JOURNAL}/earliest")
    assert expired.status_code == 401
    assert expired.json()["category"] == "EXPIRED_AUTHENTICATION"


def test_the_url_of_a_file_is_its_own_permission_for_a_while(
    portal: Portal, app: App
) -> None:
    everything(app)
    portal.create("companies")
    url = app("GET", f"{JOURNAL}/earliest").json()["url"]
    assert requests.get(url, timeout=20).status_code == 200
    twice = {"Authorization": "Bearer any"}
    assert requests.get(url, headers=twice, timeout=20).status_code == 400
    assert requests.get(url + "0", timeout=20).status_code == 403
    portal.clock.advance(601)
    assert requests.get(url, timeout=20).status_code == 403


def test_a_subscription_names_what_the_portal_has(app: App) -> None:
    good = {
        "subscriptionType": "OBJECT",
        "portalId": app.portal.portal_id,
        "objectTypeId": "0-2",
        "actions": ["CREATE"],
    }
    for wrong, status in (
        ({"subscriptionType": "NONSENSE"}, 400),
        ({"actions": ["ASSOCIATION_ADDED"]}, 400),
        ({"objectTypeId": "2-1"}, 400),
        ({"portalId": 1}, 403),
    ):
        answer = app("POST", SUBSCRIPTIONS, {**good, **wrong})
        assert answer.status_code == status, answer.text


def test_the_journal_costs_nothing_of_the_limits(portal: Portal, app: App) -> None:
    portal.limits.enabled = True
    portal.limits.per_ten_seconds = 1
    used = portal.limits.used_today
    for _ in range(3):
        assert app("GET", f"{JOURNAL}/earliest").status_code == 204
    assert portal.limits.used_today == used

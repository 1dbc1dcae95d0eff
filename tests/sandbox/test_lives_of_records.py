"""Merge, archive, restore, privacy deletion, purge; definitions that change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox import Portal

Api = Any
BASE = "/crm/objects/2026-09"


def ids(api: Api, path: str) -> list[str]:
    return [one["id"] for one in api.get(path)["results"]]


def test_a_merge_that_keeps_the_id_fills_gaps_and_moves_associations(
    portal: Portal, api: Api
) -> None:
    contact = portal.create("contacts")
    kept = portal.create("companies", {"name": "K"})
    gone = portal.create("companies", {"name": "G", "city": "Bern"})
    portal.associate("contacts", contact, "companies", gone, [("HUBSPOT_DEFINED", 1)])
    portal.clock.advance(60)
    before = portal.record("companies", kept)
    assert portal.merge("companies", kept, gone) == kept

    found = api.get(
        f"{BASE}/companies/{kept}?properties=name,city,hs_merged_object_ids"
    )
    assert found["properties"]["name"] == "K"
    assert found["properties"]["city"] == "Bern"
    assert found["properties"]["hs_merged_object_ids"] == gone
    assert before is not None
    assert found["updatedAt"] > before["updatedAt"]
    assert ("contacts", contact, "companies", kept, 1) in portal.edges()
    # The loser is nowhere but behind its own id.
    assert ids(api, f"{BASE}/companies") == [kept]
    assert ids(api, f"{BASE}/companies?archived=true") == []
    assert api.get(f"{BASE}/companies/{gone}")["id"] == kept
    body = {"inputs": [{"id": gone}]}
    api.post(f"{BASE}/companies/batch/read", body, 207)
    portal.merged_ids_readable = True
    assert api.post(f"{BASE}/companies/batch/read", body)["results"][0]["id"] == kept


def test_a_merge_with_a_new_id_leaves_both_old_ids_behind(
    portal: Portal, api: Api
) -> None:
    first, second, third = (portal.create("companies") for _ in range(3))
    new = portal.merge("companies", first, second, new_id=True)
    assert new not in (first, second)
    assert ids(api, f"{BASE}/companies") == [third, new]
    assert api.get(f"{BASE}/companies/{first}")["id"] == new
    # Ids pile up over chains, and old ids follow them to the end.
    last = portal.merge("companies", third, new)
    found = portal.record("companies", last)
    assert found is not None
    assert found["properties"]["hs_merged_object_ids"] == f"{first};{second};{new}"
    assert api.get(f"{BASE}/companies/{second}")["id"] == third
    assert portal.record("companies", new) is not None


def test_two_primaries_do_not_survive_a_merge(portal: Portal) -> None:
    primary = [("HUBSPOT_DEFINED", 1)]
    contacts = [portal.create("contacts") for _ in range(2)]
    companies = [portal.create("companies") for _ in range(2)]
    for contact, company in zip(contacts, companies, strict=True):
        portal.associate("contacts", contact, "companies", company, primary)
    portal.merge("contacts", contacts[0], contacts[1])
    assert {edge for edge in portal.edges() if edge[0] == "contacts"} == {
        ("contacts", contacts[0], "companies", companies[0], 1),
        ("contacts", contacts[0], "companies", companies[0], 279),
        ("contacts", contacts[0], "companies", companies[1], 279),
    }


def test_the_recycle_bin_keeps_records_for_90_days(portal: Portal, api: Api) -> None:
    portal.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    deal, other = portal.create("deals"), portal.create("deals")
    portal.archive("deals", deal)
    portal.clock.advance(89 * 86_400)
    portal.archive("deals", other)
    assert ids(api, f"{BASE}/deals?archived=true") == [deal, other]
    portal.clock.advance(86_400)
    assert ids(api, f"{BASE}/deals?archived=true") == [other]
    assert portal.record("deals", deal) is None
    portal.clock.advance(90 * 86_400)
    assert ids(api, f"{BASE}/deals?archived=true") == []


@pytest.mark.parametrize("bumps", [False, True])
def test_a_restored_record_keeps_its_id(portal: Portal, api: Api, bumps: bool) -> None:
    portal.restore_bumps = bumps
    deal = portal.create("deals", {"dealname": "D"})
    before = portal.record("deals", deal)
    portal.archive("deals", deal)
    portal.clock.advance(60)
    api.post("/_sandbox/restore", {"object_type": "deals", "record_id": deal})
    after = portal.record("deals", deal)
    assert before is not None
    assert after is not None
    assert (after["updatedAt"] > before["updatedAt"]) is bumps
    assert api.post(f"{BASE}/deals/search", {})["total"] == 1
    assert ids(api, f"{BASE}/deals") == [deal]


def test_a_privacy_deletion_leaves_nothing(portal: Portal, api: Api) -> None:
    contact = portal.create("contacts", {"email": "a@x.example"})
    company = portal.create("companies")
    portal.associate("contacts", contact, "companies", company)
    path = f"{BASE}/contacts/gdpr-delete"
    api.post(path, {"objectId": "a@x.example", "idProperty": "email"}, 204)
    assert ids(api, f"{BASE}/contacts") == []
    assert ids(api, f"{BASE}/contacts?archived=true") == []
    api.get(f"{BASE}/contacts/{contact}", 404)
    assert portal.edges() == set()
    # The address is blocked, known or not.
    api.post(path, {"objectId": "b@x.example", "idProperty": "email"}, 204)
    for email in ("a@x.example", "b@x.example"):
        api.post(f"{BASE}/contacts", {"properties": {"email": email}}, 400)


def test_an_archived_property_takes_its_values_along_and_back(
    portal: Portal, api: Api
) -> None:
    portal.add_property("deals", {"name": "seats", "type": "number"})
    deal = portal.create("deals", {"seats": 3})
    path = f"{BASE}/deals/{deal}?properties=seats"
    assert api.get(path)["properties"]["seats"] == "3"
    portal.remove_property("deals", "seats")
    assert "seats" not in api.get(path)["properties"]
    listed = api.get("/crm/properties/2026-09/deals?archived=true")["results"]
    assert [one["name"] for one in listed] == ["seats"]
    portal.add_property("deals", {"name": "seats", "type": "string"})
    assert api.get(path)["properties"]["seats"] == "3"
    portal.update_property("deals", "seats", {"type": "date", "fieldType": "date"})
    assert api.get("/crm/properties/2026-09/deals/seats")["type"] == "date"


def test_a_stage_that_is_removed_disappears_from_the_list(
    portal: Portal, api: Api
) -> None:
    stages = [{"id": "1001", "metadata": {"isClosed": True, "probability": 1.0}}]
    portal.update_pipeline("deals", "partners", {"label": "P", "stages": stages})
    (_, made) = api.get("/crm/pipelines/2026-09/deals")["results"]
    assert made["stages"][0]["metadata"] == {"isClosed": "true", "probability": "1.0"}
    portal.update_pipeline("deals", "partners", {"stages": []})
    (_, made) = api.get("/crm/pipelines/2026-09/deals")["results"]
    assert (made["label"], made["stages"]) == ("P", [])


def test_a_dated_schema_lists_properties_only_when_asked(
    portal: Portal, api: Api
) -> None:
    portal.add_schema("licenses", properties=[{"name": "seats"}])
    path = "/crm-object-schemas/2026-09/schemas"
    (plain,) = api.get(path)["results"]
    assert "properties" not in plain
    (full,) = api.get(f"{path}?includePropertyDefinitions=true")["results"]
    assert "seats" in [one["name"] for one in full["properties"]]
    record = portal.create("licenses", {"seats": 1})
    for name in ("licenses", plain["objectTypeId"], plain["fullyQualifiedName"]):
        assert ids(api, f"{BASE}/{name}") == [record]


def test_the_clock_can_be_set_moved_and_let_run(portal: Portal, api: Api) -> None:
    api.post("/_sandbox/clock", {"set": "2026-05-01T00:00:00"})
    api.post("/_sandbox/clock", {"advance": 1.5})
    assert portal.clock.now() == datetime(2026, 5, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    api.post("/_sandbox/clock", {})
    assert abs((portal.clock.now() - datetime.now(UTC)).total_seconds()) < 60


def test_another_process_can_work_in_the_portal(portal: Portal, api: Api) -> None:
    made = api.post(
        "/_sandbox/create", {"object_type": "companies", "values": {"name": "A"}}
    )["result"]
    assert portal.live_ids("companies") == [made]
    settings = api.post("/_sandbox/settings", {"index_lag": 4})
    assert (portal.index_lag, settings["index_lag"]) == (4, 4)
    api.post("/_sandbox/explode", {}, 404)
    api.post("/_sandbox/settings", {"explode": 1}, 400)
    assert api.get("/_sandbox/calls") == {"calls": {}, "requests": []}

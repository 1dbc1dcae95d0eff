"""List, read one and batch read answer as HubSpot does (hubspot_api.md 2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox import Portal, Server

Api = Any
BASE = "/crm/objects/2026-09"


@pytest.mark.parametrize(
    "path",
    [
        "/crm/objects/2026-09/companies",
        "/crm/objects/2026-03/company",
        "/crm/objects/2027-03-beta/0-2",
        "/crm/v3/objects/companies",
        "/crm/v3/objects/0-2",
    ],
)
def test_every_version_and_every_name_of_a_type_answers(
    portal: Portal, api: Api, path: str
) -> None:
    company = portal.create("companies", {"name": "A"})
    assert [one["id"] for one in api.get(path)["results"]] == [company]


def test_a_record_has_hubspots_shape(portal: Portal, api: Api) -> None:
    portal.clock.set(datetime(2024, 11, 20, 20, 12, 9, 236_000, tzinfo=UTC))
    company = portal.create("companies", {"name": "A", "city": ""})
    portal.clock.advance(1.374)
    portal.update("companies", company, {"name": "B"})
    found = api.get(f"{BASE}/companies/{company}?properties=name,city,zip,nonsense")
    assert found == {
        "id": company,
        "properties": {
            "hs_object_id": company,
            "createdate": "2024-11-20T20:12:09.236Z",
            "hs_lastmodifieddate": "2024-11-20T20:12:10.610Z",
            "name": "B",
            "city": "",  # stored as it is,
            "zip": None,  # empty yet defined, while the undefined one is left out
        },
        "createdAt": "2024-11-20T20:12:09.236Z",
        "updatedAt": "2024-11-20T20:12:10.610Z",
        "archived": False,
        "url": f"https://app.hubspot.com/contacts/12345678/record/0-2/{company}",
    }


def test_unasked_a_type_returns_its_default_properties(
    portal: Portal, api: Api
) -> None:
    portal.create("contacts", {"email": "a@x.example"})
    (contact,) = api.get(f"{BASE}/contacts")["results"]
    assert sorted(contact["properties"]) == [
        "createdate",
        "email",
        "firstname",
        "hs_object_id",
        "lastmodifieddate",
        "lastname",
    ]


def test_a_list_walks_by_id_and_after_is_the_last_id_plus_one(
    portal: Portal, api: Api, server: Server
) -> None:
    ids = [portal.create("deals") for _ in range(5)]
    first = api.get(f"{BASE}/deals?limit=2&properties=amount")
    cursor = str(int(ids[1]) + 1)
    assert first["paging"]["next"] == {
        "after": cursor,
        "link": f"{server.url}{BASE}/deals?limit=2&properties=amount&after={cursor}",
    }
    # What is archived meanwhile drops out, what is new appears at the end.
    portal.archive("deals", ids[2])
    new = portal.create("deals")
    rest = api.get(f"{BASE}/deals?limit=100&after={cursor}")
    assert [one["id"] for one in rest["results"]] == [ids[3], ids[4], new]
    assert "paging" not in rest


def test_a_list_page_is_at_most_100_and_50_with_history(api: Api) -> None:
    assert api.get(f"{BASE}/deals?limit=101", 400)["category"] == "VALIDATION_ERROR"
    api.get(f"{BASE}/deals?limit=51&propertiesWithHistory=amount", 400)
    api.get(f"{BASE}/deals?limit=50&propertiesWithHistory=amount")


def test_archived_true_returns_only_archived_records(portal: Portal, api: Api) -> None:
    kept, gone = portal.create("deals"), portal.create("deals")
    portal.archive("deals", gone)
    (live,) = api.get(f"{BASE}/deals")["results"]
    (archived,) = api.get(f"{BASE}/deals?archived=true")["results"]
    assert (live["id"], archived["id"]) == (kept, gone)
    assert archived["archived"] is True
    assert archived["archivedAt"]
    api.get(f"{BASE}/deals/{gone}", 404)
    api.get(f"{BASE}/deals/{gone}?archived=true")


def test_history_is_newest_first(portal: Portal, api: Api) -> None:
    portal.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    deal = portal.create("deals", {"amount": "1"})
    for amount in ("2", "3"):
        portal.clock.advance(60)
        portal.update("deals", deal, {"amount": amount})
    found = api.get(f"{BASE}/deals/{deal}?propertiesWithHistory=amount")
    history = found["propertiesWithHistory"]["amount"]
    assert [(one["value"], one["timestamp"]) for one in history] == [
        ("3", "2026-01-01T00:02:00.000Z"),
        ("2", "2026-01-01T00:01:00.000Z"),
        ("1", "2026-01-01T00:00:00.000Z"),
    ]


def test_a_record_is_found_by_a_unique_property_only(portal: Portal, api: Api) -> None:
    contact = portal.create("contacts", {"email": "Ada@x.example"})
    found = api.get(f"{BASE}/contacts/ada@x.example?idProperty=email")
    assert found["id"] == contact
    api.get(f"{BASE}/contacts/Ada?idProperty=firstname", 400)


def test_inline_associations_repeat_a_partner_per_type(
    portal: Portal, api: Api, server: Server
) -> None:
    contact = portal.create("contacts")
    companies = [portal.create("companies") for _ in range(3)]
    for company in companies:
        portal.associate("contacts", contact, "companies", company)
    portal.associate(
        "contacts", contact, "companies", companies[0], [("HUBSPOT_DEFINED", 1)]
    )
    portal.inline_page = 2
    (found,) = api.get(f"{BASE}/contacts?associations=companies,nonsense")["results"]
    inline = found["associations"]["companies"]
    assert inline["results"] == [
        {"id": companies[0], "type": "contact_to_company"},
        {"id": companies[0], "type": "contact_to_company_unlabeled"},
        {"id": companies[1], "type": "contact_to_company_unlabeled"},
    ]
    rest = api.get(inline["paging"]["next"]["link"].removeprefix(server.url))
    assert [str(one["toObjectId"]) for one in rest["results"]] == companies[2:]


def test_batch_read_answers_200_or_207_in_no_order(portal: Portal, api: Api) -> None:
    ids = [portal.create("companies", {"name": str(n)}) for n in range(30)]
    body = {"inputs": [{"id": one} for one in ids], "properties": ["name"]}
    whole = api.post(f"{BASE}/companies/batch/read", body)
    found = [one["id"] for one in whole["results"]]
    assert sorted(found) == sorted(ids)
    assert found != ids
    assert "errors" not in whole

    portal.archive("companies", ids[0])
    partial = api.post(f"{BASE}/companies/batch/read", body, 207)
    assert len(partial["results"]) == 29
    assert partial["numErrors"] == 1
    (problem,) = partial["errors"]
    assert problem["category"] == "OBJECT_NOT_FOUND"
    assert problem["context"] == {"ids": [ids[0]]}
    old = api.post(f"{BASE}/companies/batch/read?archived=true", body, 207)
    assert [one["id"] for one in old["results"]] == [ids[0]]


def test_batch_read_takes_100_ids_and_50_with_history(api: Api) -> None:
    many = {"inputs": [{"id": str(n)} for n in range(101)]}
    api.post(f"{BASE}/deals/batch/read", many, 400)
    fewer = {"inputs": many["inputs"][:51], "propertiesWithHistory": ["amount"]}
    refused = api.post(f"{BASE}/deals/batch/read", fewer, 400)
    assert "property histories is 50" in refused["message"]


def test_what_does_not_exist_is_refused_the_way_hubspot_does(api: Api) -> None:
    missing = api.get(f"{BASE}/companies/1", 404)
    assert missing["category"] == "OBJECT_NOT_FOUND"
    assert api.get(f"{BASE}/unicorns", 400)["category"] == "VALIDATION_ERROR"
    page = api("GET", "/nothing/here")
    assert page.status_code == 404
    assert page.headers["Content-Type"].startswith("text/html")
    assert api("POST", f"{BASE}/deals/search", data="{").status_code == 400


def test_an_address_over_16000_characters_is_a_414(api: Api) -> None:
    names = ",".join(["amount"] * 2000)
    assert len(names) < 16_000
    assert api("GET", f"{BASE}/deals?properties={names}").status_code == 200
    names += "x" * 3000
    assert api("GET", f"{BASE}/deals?properties={names}").status_code == 414


def test_ids_beyond_2_to_the_53_survive(api: Api, portal: Portal) -> None:
    item = portal.create("line_items", id=9_007_199_254_740_993)
    deal = portal.create("deals")
    portal.associate("deals", deal, "line_items", item)
    assert api.get(f"{BASE}/line_items")["results"][0]["id"] == "9007199254740993"
    path = f"/crm/v4/objects/deals/{deal}/associations/line_items"
    assert api.get(path)["results"][0]["toObjectId"] == 9_007_199_254_740_993


def test_calls_are_counted_by_what_they_cost(
    portal: Portal, api: Api, server: Server
) -> None:
    deal = portal.create("deals")
    api.get(f"{BASE}/deals")
    api.get(f"{BASE}/deals/{deal}")
    api.post(f"{BASE}/deals/search", {})
    api.post(f"{BASE}/deals/batch/read", {"inputs": [{"id": deal}]})
    api.post(
        "/crm/associations/2026-09/deals/companies/batch/read",
        {"inputs": [{"id": deal}]},
        207,
    )
    api.get("/crm/owners/2026-09")
    api.get("/_sandbox/calls")
    assert server.calls == {
        "list": 1,
        "other": 1,
        "search": 1,
        "batch_read": 1,
        "associations": 1,
        "definitions": 1,
    }
    assert server.requests[0] == ("GET", f"{BASE}/deals", 200)


def test_a_hook_may_change_a_record_between_two_requests(
    portal: Portal, api: Api
) -> None:
    deal = portal.create("deals")

    def archive_before_read(method: str, path: str) -> None:
        if path.endswith("/batch/read"):
            portal.archive("deals", deal)

    portal.before_request.append(archive_before_read)
    assert api.post(f"{BASE}/deals/search", {})["total"] == 1
    api.post(f"{BASE}/deals/batch/read", {"inputs": [{"id": deal}]}, 207)

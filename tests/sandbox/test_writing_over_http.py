"""Writes over HTTP follow HubSpot's rules (hubspot_api.md 2.6, 2.7, 2.9)."""

from __future__ import annotations

from typing import Any

from sandbox import Portal

Api = Any
BASE = "/crm/objects/2026-09"


def values(portal: Portal, kind: str, record: str) -> dict[str, Any]:
    found = portal.record(kind, record)
    assert found is not None
    return dict(found["properties"])


def test_an_unknown_property_is_refused_with_its_name(api: Api) -> None:
    refused = api.post(
        f"{BASE}/companies", {"properties": {"name": "A", "x": "1"}}, 400
    )
    assert refused["category"] == "VALIDATION_ERROR"
    assert refused["message"].startswith("Property values were not valid: [{")
    assert refused["errors"] == [
        {
            "message": 'Property "x" does not exist',
            "code": "PROPERTY_DOESNT_EXIST",
            "context": {"propertyName": ["x"]},
        }
    ]


def test_values_that_do_not_fit_their_type_are_refused(
    portal: Portal, api: Api
) -> None:
    company = portal.create("companies", {"name": "A"})
    for given, code in (
        ({"hs_object_id": "1"}, "READ_ONLY_VALUE"),
        ({"total_revenue": "1"}, "READ_ONLY_VALUE"),
        ({"industry": "retail"}, "INVALID_OPTION"),
        ({"numberofemployees": "many"}, "INVALID_INTEGER"),
        ({"closedate": "tomorrow"}, "INVALID_DATE"),
    ):
        answer = api("PATCH", f"{BASE}/companies/{company}", {"properties": given})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == code
    lacking = api.post(f"{BASE}/deals", {"properties": {"dealname": "D"}}, 400)
    assert {one["code"] for one in lacking["errors"]} == {"REQUIRED_FIELD"}


def test_an_empty_value_clears_and_numbers_become_text(
    portal: Portal, api: Api
) -> None:
    made = api.post(
        f"{BASE}/companies",
        {"properties": {"name": "A", "city": "Bern", "numberofemployees": 7}},
        201,
    )
    api("PATCH", f"{BASE}/companies/{made['id']}", {"properties": {"city": ""}})
    found = values(portal, "companies", made["id"])
    assert (found["city"], found["numberofemployees"]) == (None, "7")


def test_a_leading_semicolon_appends_to_several_values(
    portal: Portal, api: Api
) -> None:
    portal.add_property(
        "contacts",
        {
            "name": "tags",
            "type": "enumeration",
            "fieldType": "checkbox",
            "options": ["a", "b"],
        },
    )
    contact = portal.create("contacts", {"tags": "a"})
    api("PATCH", f"{BASE}/contacts/{contact}", {"properties": {"tags": ";b"}})
    assert values(portal, "contacts", contact)["tags"] == "a;b"


def test_the_lifecycle_moves_forward_only_unless_cleared(
    portal: Portal, api: Api
) -> None:
    contact = portal.create("contacts", {"lifecyclestage": "customer"})
    for stage, expected in (("lead", "customer"), ("", None), ("lead", "lead")):
        api(
            "PATCH",
            f"{BASE}/contacts/{contact}",
            {"properties": {"lifecyclestage": stage}},
        )
        assert values(portal, "contacts", contact)["lifecyclestage"] == expected


def test_an_email_belongs_to_one_contact(portal: Portal, api: Api) -> None:
    contact = portal.create("contacts", {"email": "a@x.example"})
    body = {"properties": {"email": "A@x.example"}}
    refused = api.post(f"{BASE}/contacts", body, 409)
    assert refused["message"] == f"Contact already exists. Existing ID: {contact}"
    assert refused["category"] == "CONFLICT"


def test_a_bad_row_fails_a_batch_that_cannot_name_it(portal: Portal, api: Api) -> None:
    rows = [{"properties": {"name": "A"}}, {"properties": {"nonsense": "B"}}]
    api.post(f"{BASE}/companies/batch/create", {"inputs": rows}, 400)
    assert portal.live_ids("companies") == []

    traced = [{**row, "objectWriteTraceId": f"t{n}"} for n, row in enumerate(rows)]
    answer = api.post(f"{BASE}/companies/batch/create", {"inputs": traced}, 207)
    assert [one["properties"]["name"] for one in answer["results"]] == ["A"]
    assert answer["numErrors"] == 1
    assert answer["errors"][0]["context"] == {"objectWriteTraceId": ["t1"]}


def test_a_batch_takes_100_rows(api: Api) -> None:
    rows = [{"properties": {"name": str(n)}} for n in range(101)]
    api.post(f"{BASE}/companies/batch/create", {"inputs": rows}, 400)
    api.post(f"{BASE}/companies/batch/create", {"inputs": rows[:100]}, 201)


def test_a_merged_id_works_in_a_single_write_and_is_lost_in_a_batch(
    portal: Portal, api: Api
) -> None:
    kept, gone = portal.create("companies"), portal.create("companies")
    portal.merge("companies", kept, gone)
    change = {"properties": {"name": "N"}}
    assert api("PATCH", f"{BASE}/companies/{gone}", change).json()["id"] == kept
    rows = [{"id": kept, **change}, {"id": gone, **change}]
    answer = api.post(f"{BASE}/companies/batch/update", {"inputs": rows})
    assert [one["id"] for one in answer["results"]] == [kept]


def test_a_record_is_created_with_its_associations(portal: Portal, api: Api) -> None:
    company = portal.create("companies")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]
    made = api.post(
        f"{BASE}/contacts",
        {"properties": {}, "associations": [{"to": {"id": company}, "types": types}]},
        201,
    )
    assert ("contacts", made["id"], "companies", company, 279) in portal.edges()


def test_archiving_twice_is_no_error(portal: Portal, api: Api) -> None:
    deal = portal.create("deals")
    for _ in range(2):
        assert api("DELETE", f"{BASE}/deals/{deal}").status_code == 204
    body = {"inputs": [{"id": deal}, {"id": "1"}]}
    assert api("POST", f"{BASE}/deals/batch/archive", body).status_code == 204


def test_what_cannot_be_merged_is_refused(portal: Portal, api: Api) -> None:
    items = [portal.create("line_items") for _ in range(2)]
    body = {"primaryObjectId": items[0], "objectIdToMerge": items[1]}
    api.post(f"{BASE}/line_items/merge", body, 400)
    deals = [portal.create("deals") for _ in range(2)]
    body = {"primaryObjectId": deals[0], "objectIdToMerge": "1"}
    api.post(f"{BASE}/deals/merge", body, 404)
    portal.merge_creates_new_id = True
    body = {"primaryObjectId": deals[0], "objectIdToMerge": deals[1]}
    assert api.post(f"{BASE}/deals/merge", body)["id"] not in deals

"""Search keeps HubSpot's rules, limits and lateness (hubspot_api.md 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import Portal, serve
from sandbox.clock import milliseconds
from sandbox.search import Search

Api = Any


def names(api: Api, kind: str, *filters: dict[str, Any], **more: Any) -> list[str]:
    """The `name` of each company (or the like) that one group of filters finds."""
    body = {
        "filterGroups": [{"filters": list(filters)}],
        "properties": ["name"],
        "limit": 200,
        **more,
    }
    found = api.post(f"/crm/objects/2026-09/{kind}/search", body)
    return [one["properties"]["name"] for one in found["results"]]


def where(name: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    one: dict[str, Any] = {"propertyName": name, "operator": operator, **more}
    return one if value is None else {**one, "value": value}


@pytest.fixture
def companies(portal: Portal) -> Portal:
    rows = [
        ("Acme Tools", "10", "RETAIL", "Berlin"),
        ("acme", "9", "EDUCATION", "berlin"),
        ("Zeta", "100", None, None),
        ("Garbage", "many", "RETAIL;EDUCATION", "Bern"),
    ]
    for name, size, industry, city in rows:
        portal.create(
            "companies",
            {
                "name": name,
                "numberofemployees": size,
                "industry": industry,
                "city": city,
            },
        )
    return portal


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (where("name", "EQ", "ACME"), ["acme"]),
        (where("name", "NEQ", "acme"), ["Acme Tools", "Zeta", "Garbage"]),
        (where("numberofemployees", "GT", "9"), ["Acme Tools", "Zeta"]),
        (where("numberofemployees", "GTE", "9"), ["Acme Tools", "acme", "Zeta"]),
        (where("numberofemployees", "LT", "10"), ["acme"]),
        (where("numberofemployees", "LTE", "10"), ["Acme Tools", "acme"]),
        (
            where("numberofemployees", "BETWEEN", "9", highValue="10"),
            ["Acme Tools", "acme"],
        ),
        # Enumerations keep their case, and match by each of several values.
        (where("industry", "EQ", "retail"), []),
        (where("industry", "EQ", "RETAIL"), ["Acme Tools", "Garbage"]),
        (where("industry", "IN", values=["EDUCATION"]), ["acme", "Garbage"]),
        # Strings in IN want lower case.
        (where("city", "IN", values=["berlin"]), ["Acme Tools", "acme"]),
        (where("city", "IN", values=["Berlin"]), []),
        (where("city", "NOT_IN", values=["berlin"]), ["Zeta", "Garbage"]),
        (where("city", "HAS_PROPERTY"), ["Acme Tools", "acme", "Garbage"]),
        (where("city", "NOT_HAS_PROPERTY"), ["Zeta"]),
        (where("name", "CONTAINS_TOKEN", "tool*"), ["Acme Tools"]),
        (where("name", "CONTAINS_TOKEN", "acme"), ["Acme Tools", "acme"]),
        (where("name", "NOT_CONTAINS_TOKEN", "acme"), ["Zeta", "Garbage"]),
    ],
)
def test_every_operator_follows_its_case_rule(
    companies: Portal, api: Api, one: dict[str, Any], expected: list[str]
) -> None:
    assert names(api, "companies", one) == expected


def test_groups_are_alternatives_and_filters_add_up(
    companies: Portal, api: Api
) -> None:
    both = names(
        api, "companies", where("city", "EQ", "berlin"), where("name", "EQ", "acme")
    )
    assert both == ["acme"]
    either = {
        "filterGroups": [
            {"filters": [where("name", "EQ", "zeta")]},
            {"filters": [where("name", "EQ", "acme")]},
        ],
        "sorts": [{"propertyName": "name", "direction": "DESCENDING"}],
    }
    assert names(api, "companies", **either) == ["Zeta", "acme"]
    assert names(api, "companies", query="acme tool") == ["Acme Tools"]


def test_numbers_sort_as_numbers_and_the_unreadable_comes_last(
    companies: Portal, api: Api
) -> None:
    sorts = [{"propertyName": "numberofemployees", "direction": "ASCENDING"}]
    found = names(api, "companies", sorts=sorts)
    assert found == ["acme", "Acme Tools", "Zeta", "Garbage"]


def test_an_association_can_be_searched(portal: Portal, api: Api) -> None:
    company, contact = portal.create("companies"), portal.create("contacts")
    deal = portal.create("deals", {"dealname": "D"})
    portal.create("deals", {"dealname": "E"})
    portal.associate("deals", deal, "companies", company)
    body = {"filters": [where("associations.company", "EQ", company)]}
    assert api.post("/crm/v3/objects/deals/search", body)["total"] == 1
    body = {"filters": [where("associations.contact", "EQ", contact)]}
    assert api.post("/crm/v3/objects/deals/search", body)["total"] == 0


def test_what_hubspot_refuses_is_a_400(portal: Portal, api: Api) -> None:
    one = where("name", "EQ", "a")
    refused: list[dict[str, Any]] = [
        {"limit": 201},
        {"after": "9900", "limit": 200},
        {"after": "x"},
        {"filterGroups": [{"filters": [one]}] * 6},
        {"filterGroups": [{"filters": [one] * 7}]},
        {"filterGroups": [{"filters": [one] * 5}] * 4},
        {"filterGroups": [{"filters": [where("nonsense", "EQ", "a")]}]},
        {"filterGroups": [{"filters": [where("name", "LIKE", "a")]}]},
        {"filterGroups": [{"filters": [where("name", "EQ")]}]},
        {"sorts": ["name", "city"]},
        {"query": "x" * 3001},
    ]
    for body in refused:
        answer = api.post("/crm/v3/objects/companies/search", body, 400)
        assert answer["category"] == "VALIDATION_ERROR", body
    api.post("/crm/v3/objects/companies/search", {"after": "9800", "limit": 200})


def test_contacts_by_hs_lastmodifieddate_are_none_without_an_error(
    portal: Portal, api: Api
) -> None:
    portal.create("contacts")
    path = "/crm/objects/2026-09/contacts/search"
    wrong = {"filters": [where("hs_lastmodifieddate", "GTE", "0")]}
    right = {"filters": [where("lastmodifieddate", "GTE", "0")]}
    assert api.post(path, wrong) == {"total": 0, "results": []}
    assert api.post(path, right)["total"] == 1


def test_search_never_returns_archived_or_merged_records(
    portal: Portal, api: Api
) -> None:
    kept, gone, merged = (portal.create("companies") for _ in range(3))
    portal.archive("companies", gone)
    portal.merge("companies", kept, merged)
    found = api.post("/crm/v3/objects/companies/search", {})
    assert [one["id"] for one in found["results"]] == [kept]


def test_search_shows_changes_only_after_the_index_lag(
    portal: Portal, api: Api
) -> None:
    portal.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    portal.create("companies", {"name": "old"})
    portal.clock.advance(60)
    portal.index_lag = 10
    (company,) = portal.live_ids("companies")
    before = portal.clock.now()
    portal.update("companies", company, {"name": "changed"})
    portal.create("companies", {"name": "new"})
    since = where("hs_lastmodifieddate", "GTE", str(milliseconds(before)))

    assert names(api, "companies") == ["old"]
    assert names(api, "companies", where("name", "EQ", "changed")) == []
    assert names(api, "companies", since) == []
    (read,) = api.get("/crm/v3/objects/companies?limit=1")["results"]
    assert read["properties"]["name"] == "changed"

    portal.clock.advance(9)
    assert names(api, "companies") == ["old"]
    portal.clock.advance(1)
    assert names(api, "companies") == ["changed", "new"]
    assert names(api, "companies", since) == ["changed", "new"]


def test_25_000_records_of_one_millisecond_are_walked_by_id(portal: Portal) -> None:
    portal.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    for _ in range(25_000):
        portal.create("deals")
    search: Search = portal.searches["deals"]
    now = str(portal.clock.now_ms())
    walked: list[int] = []
    while True:
        floor = str(walked[-1] if walked else 0)
        total, page, _ = search.run(
            {
                "filterGroups": [
                    {
                        "filters": [
                            where("hs_lastmodifieddate", "GTE", now),
                            where("hs_object_id", "GT", floor),
                        ]
                    }
                ],
                "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                "limit": 200,
            }
        )
        assert total == 25_000 - len(walked)
        walked += [record.id for record in page]
        if len(page) < 200:
            break
    assert [str(one) for one in walked] == portal.live_ids("deals")


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=30),
    since=st.integers(0, 40),
    floor=st.integers(-1, 10),
)
def test_the_quick_question_of_a_sync_gets_the_same_answer_as_a_slow_one(
    steps: list[tuple[int, int]], since: int, floor: int
) -> None:
    portal = Portal()
    portal.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    start = portal.clock.now()
    ids = [portal.create("tickets") for _ in range(10)]
    for which, pause in steps:
        portal.clock.advance(pause)
        portal.touch("tickets", ids[which])
    moment = milliseconds(start + timedelta(seconds=since))
    over = int(ids[min(floor, 9)]) if floor >= 0 else 0
    filters = [
        where("hs_lastmodifieddate", "GTE", str(moment)),
        where("hs_object_id", "GT", str(over)),
    ]
    body = {"filterGroups": [{"filters": filters}], "limit": 200}
    total, page, _ = portal.searches["tickets"].run(
        {**body, "sorts": [{"propertyName": "hs_object_id"}]}
    )
    expected = [
        one
        for one in portal.tables["tickets"].live
        if one.updated >= moment and one.id > over
    ]
    assert page == expected
    assert total == len(expected)


def test_offsets_page_through_a_search(portal: Portal) -> None:
    ids = [portal.create("deals") for _ in range(25)]
    with serve(portal):
        run = portal.searches["deals"].run
        assert run({})[2] == "10"
        assert run({"after": "20"})[2] is None
        assert [str(one.id) for one in run({"after": "20"})[1]] == ids[20:]

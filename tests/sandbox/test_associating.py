"""Associations: mirrored, labelled, paged per record (hubspot_api.md 4)."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import Portal

Api = Any
V4 = "/crm/associations/2026-09"
PRIMARY = ("HUBSPOT_DEFINED", 1)


@pytest.fixture
def linked(portal: Portal) -> tuple[str, list[str]]:
    """One contact, five companies, all associated."""
    contact = portal.create("contacts")
    companies = [portal.create("companies") for _ in range(5)]
    for company in companies:
        portal.associate("contacts", contact, "companies", company)
    return contact, companies


def read(api: Api, pair: str, *inputs: dict[str, Any], status: int = 200) -> Any:
    return api.post(f"{V4}/{pair}/batch/read", {"inputs": list(inputs)}, status)


def test_both_directions_carry_mirrored_type_ids(portal: Portal) -> None:
    contact, company, deal = (
        portal.create(one) for one in ("contacts", "companies", "deals")
    )
    child = portal.create("companies")
    portal.associate("contacts", contact, "companies", company)
    portal.associate("companies", company, "deals", deal, [("HUBSPOT_DEFINED", 6)])
    portal.associate(
        "companies", child, "companies", company, [("HUBSPOT_DEFINED", 14)]
    )
    assert portal.edges() == {
        ("contacts", contact, "companies", company, 279),
        ("companies", company, "contacts", contact, 280),
        ("companies", company, "deals", deal, 6),  # primary implies unlabeled
        ("companies", company, "deals", deal, 342),
        ("deals", deal, "companies", company, 5),
        ("deals", deal, "companies", company, 341),
        ("companies", child, "companies", company, 14),
        ("companies", child, "companies", company, 450),
        ("companies", company, "companies", child, 13),
        ("companies", company, "companies", child, 450),
    }


def test_a_contact_has_one_primary_company_and_a_company_many(
    portal: Portal, linked: tuple[str, list[str]]
) -> None:
    contact, companies = linked
    other = portal.create("contacts")
    portal.associate("contacts", contact, "companies", companies[0], [PRIMARY])
    portal.associate("contacts", other, "companies", companies[0], [PRIMARY])
    portal.associate(
        "companies", companies[1], "contacts", contact, [("HUBSPOT_DEFINED", 2)]
    )
    primaries = {
        (edge[1], edge[3])
        for edge in portal.edges()
        if edge[0] == "contacts" and edge[4] == 1
    }
    assert primaries == {(contact, companies[1]), (other, companies[0])}


def test_ids_are_text_on_one_side_and_numbers_on_the_other(
    linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    (row,) = read(api, "contacts/companies", {"id": contact})["results"]
    assert row["from"] == {"id": contact}
    assert [one["toObjectId"] for one in row["to"]] == [int(one) for one in companies]
    assert row["to"][0]["associationTypes"] == [
        {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}
    ]


def test_a_record_without_associations_is_a_207_error(
    portal: Portal, linked: tuple[str, list[str]], api: Api
) -> None:
    deal = portal.create("deals")
    answer = read(api, "0-3/0-2", {"id": deal}, status=207)
    assert answer["results"] == []
    (problem,) = answer["errors"]
    assert problem["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert problem["message"] == f"No company is associated with deal {deal}."
    assert problem["context"] == {
        "fromObjectId": [deal],
        "fromObjectType": ["deal"],
        "toObjectType": ["company"],
    }


def test_associations_are_paged_per_record(
    portal: Portal, linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    portal.association_page = 2
    walked: list[str] = []
    question: dict[str, Any] | None = {"id": contact}
    while question is not None:
        (row,) = read(api, "contacts/companies", question)["results"]
        assert len(row["to"]) <= 2
        walked += [str(one["toObjectId"]) for one in row["to"]]
        following = row.get("paging", {}).get("next")
        question = following and {"id": contact, "after": following["after"]}
    assert walked == companies


def test_one_records_associations_are_paged_by_limit(
    linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    path = f"/crm/objects/2026-09/contacts/{contact}/associations/companies"
    first = api.get(f"{path}?limit=3")
    rest = api.get(f"{path}?limit=3&after={first['paging']['next']['after']}")
    found = [str(one["toObjectId"]) for one in first["results"] + rest["results"]]
    assert found == companies
    assert "paging" not in rest


def test_a_read_takes_1000_inputs_and_a_write_2000(api: Api) -> None:
    many = [{"id": str(n + 1)} for n in range(1001)]
    read(api, "contacts/companies", *many, status=400)
    read(api, "contacts/companies", *many[:1000], status=207)
    writes = [{"from": {"id": "1"}, "to": {"id": "2"}}] * 2001
    path = f"{V4}/contacts/companies/batch/associate/default"
    api.post(path, {"inputs": writes}, 400)
    api.post(path, {"inputs": writes[:2000]}, 207)


def test_labels_differ_per_direction_when_they_are_paired(
    portal: Portal, api: Api
) -> None:
    there = portal.add_label("contacts", "companies", "Accountant", "Client")
    known = portal.associations.labels["contacts", "companies"][there]
    assert known.mirror != there
    forward = api.get(f"{V4}/contacts/companies/labels")["results"]
    backward = api.get(f"{V4}/companies/contacts/labels")["results"]
    expected = {"category": "USER_DEFINED", "typeId": there[1], "label": "Accountant"}
    assert expected in forward
    assert {
        "category": "USER_DEFINED",
        "typeId": known.mirror[1],
        "label": "Client",
    } in (backward)
    assert {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None} in forward


def test_a_put_replaces_the_labels_of_a_pair(
    portal: Portal, linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    billing = portal.add_label("contacts", "companies", "Billing contact")
    portal.associate("contacts", contact, "companies", companies[0], [PRIMARY])
    answer = api(
        "PUT",
        f"/crm/v4/objects/contacts/{contact}/associations/companies/{companies[0]}",
        [{"associationCategory": billing[0], "associationTypeId": billing[1]}],
    )
    assert answer.status_code == 201
    assert answer.json()["labels"] == ["Billing contact"]
    types = {
        edge[4] for edge in portal.edges() if edge[:4:3] == ("contacts", companies[0])
    }
    assert types == {279, billing[1]}


def test_removing_the_unlabeled_type_removes_all(
    portal: Portal, linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    portal.associate("contacts", contact, "companies", companies[0], [PRIMARY])
    row = {
        "from": {"id": contact},
        "to": {"id": companies[0]},
        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}],
    }
    path = "/contacts/companies/batch/labels/archive"
    assert api("POST", f"/crm/v4/associations{path}", {"inputs": [row]}).ok
    assert len(portal.edges()) == 8
    gone = [{"from": {"id": contact}, "to": [{"id": one} for one in companies]}]
    archive = "/contacts/companies/batch/archive"
    assert api("POST", f"{V4}{archive}", {"inputs": gone}).status_code == 200
    assert portal.edges() == set()


def test_associations_bump_no_modified_date_unless_switched_on(
    portal: Portal, linked: tuple[str, list[str]]
) -> None:
    contact, companies = linked
    before = portal.record("contacts", contact)
    portal.clock.advance(60)
    portal.dissociate("contacts", contact, "companies", companies[4])
    assert portal.record("contacts", contact) == before
    portal.associations_bump = True
    portal.associate("contacts", contact, "companies", companies[1], [PRIMARY])
    after = portal.record("contacts", contact)
    assert before is not None
    assert after is not None
    assert after["updatedAt"] > before["updatedAt"]
    assert after["properties"]["associatedcompanyid"] == companies[1]


def test_associations_of_an_archived_record_vanish_and_return(
    portal: Portal, linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    portal.archive("companies", companies[0])
    (row,) = read(api, "contacts/companies", {"id": contact})["results"]
    assert len(row["to"]) == 4
    assert len(portal.edges()) == 8
    portal.restore("companies", companies[0])
    assert len(portal.edges()) == 10


def test_an_unknown_type_of_association_is_refused(
    linked: tuple[str, list[str]], api: Api
) -> None:
    contact, companies = linked
    answer = api(
        "PUT",
        f"/crm/v4/objects/contacts/{contact}/associations/companies/{companies[0]}",
        [{"associationCategory": "USER_DEFINED", "associationTypeId": 9999}],
    )
    assert answer.status_code == 400

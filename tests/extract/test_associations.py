"""Links that change between the answers about their two ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pipelines.hubspot import associations
from pipelines.hubspot.associations import Associations, Pair
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.definitions import read_definitions
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from sandbox import Portal
from sandbox.server import Server

CONTACTS: Pair = ("contacts", "companies")
COMPANIES: Pair = ("companies", "contacts")


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
@pytest.mark.parametrize("made", [True, False])
def test_a_link_that_changes_between_the_answers_is_stored_in_both_directions_or_none(
    server: Server,
    portal: Portal,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    made: bool,
) -> None:
    contact, company = portal.create("contacts"), portal.create("companies")
    if not made:
        portal.associate("contacts", contact, "companies", company)
    client = HubSpot(Settings.load())
    types = read_definitions(client).object_types
    links = Associations(client, warehouse, types, [COMPANIES, CONTACTS])
    monkeypatch.setattr(Associations, "_stored", lambda *_: {})
    whole = Associations._read
    rounds: list[Mapping[Pair, Any]] = []

    def read(self: Associations, todo: Mapping[Pair, set[str]]) -> Any:
        rounds.append(todo)
        if len(rounds) > 1:
            return whole(self, todo)
        first = whole(self, {COMPANIES: {company}})
        if made:
            portal.associate("contacts", contact, "companies", company)
        else:
            portal.dissociate("contacts", contact, "companies", company)
        return {**first, **whole(self, {CONTACTS: {contact}})}

    monkeypatch.setattr(Associations, "_read", read)
    rows, _ = links.changes(
        {"contacts": [contact], "companies": [company]}, {}, lambda *_: False
    )
    ends = {(row["from_type"], row["to_type"]) for row in rows.to_pylist()}
    expected = {COMPANIES, CONTACTS}
    now = {each for each in portal.edges() if contact in (each[1], each[3])}
    assert {(each[0], each[2]) for each in now} == (expected if made else set())
    assert ends == (expected if made else set())


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_links_that_become_columns_in_pieces_are_all_there(
    server: Server,
    portal: Portal,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    company = portal.create("companies")
    contacts = [portal.create("contacts") for _ in range(7)]
    for contact in contacts:
        portal.associate("contacts", contact, "companies", company)
    client = HubSpot(Settings.load())
    types = read_definitions(client).object_types
    links = Associations(client, warehouse, types, [COMPANIES, CONTACTS])
    monkeypatch.setattr(Associations, "_stored", lambda *_: {})
    monkeypatch.setattr(associations, "_BATCH", batch)
    rows, _ = links.changes(
        {"contacts": contacts, "companies": [company]}, {}, lambda *_: False
    )
    ends = ("from_type", "from_id", "to_type", "to_id")
    read = {tuple(row[end] for end in ends) for row in rows.to_pylist()}
    assert len(read) == 14
    assert read == {each[:4] for each in portal.edges() if company in each[:4]}

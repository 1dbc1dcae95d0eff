"""When a property got its value, from what, and by whom: HubSpot's own history.

Facts: hubspot_api.md 2.2 (`propertiesWithHistory`: newest first, some 20 old values
are kept) and 2.5 (batch read: at most 50 ids a call with history).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.reading import objects_path
from pipelines.hubspot.records import Record, as_text, parse_time

BATCH_WITH_HISTORY = 50


@dataclass(frozen=True)
class Fact:
    """A property of a record and the value whose origin is asked."""

    object_type: str
    object_id: str
    property: str
    value: str


@dataclass(frozen=True)
class Change:
    """How the fact came about; every time is HubSpot's clock.

    `changed_at` is None where HubSpot no longer knows. `old_value` is None where the
    value was the first one, or older ones are no longer kept. `changed_by` is a HubSpot
    user id, where a user did it. `record_updated_at` is how new the answer is.
    """

    fact: Fact
    old_value: str | None
    changed_at: datetime | None
    source_type: str | None
    changed_by: str | None
    record_updated_at: datetime | None


def read_changes(
    client: HubSpot, object_types: Mapping[str, ObjectType], facts: Iterable[Fact]
) -> Iterator[Change]:
    """The change behind each fact, of those that HubSpot still knows.

    One call per 50 records of a type. Raises HubsyncError as `HubSpot.post` does.
    """
    by_record: dict[tuple[str, str], list[Fact]] = {}
    for fact in dict.fromkeys(facts):
        if fact.object_type in object_types:
            by_record.setdefault((fact.object_type, fact.object_id), []).append(fact)
    for name in dict.fromkeys(object_type for object_type, _ in by_record):
        ids = [id for object_type, id in by_record if object_type == name]
        for some in _chunks(ids):
            asked = {id: by_record[name, id] for id in some}
            for record in _read(client, object_types[name], asked):
                for fact in asked.get(str(record.get("id")), []):
                    change = _change(record, fact)
                    if change is not None:
                        yield change


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), BATCH_WITH_HISTORY):
        yield ids[start : start + BATCH_WITH_HISTORY]


def _read(
    client: HubSpot, object_type: ObjectType, asked: Mapping[str, list[Fact]]
) -> list[Record]:
    names = {fact.property for facts in asked.values() for fact in facts}
    body = {
        "inputs": [{"id": id} for id in asked],
        "properties": [],
        "propertiesWithHistory": sorted(names),
    }
    path = objects_path(client, object_type, "/batch/read?archived=false")
    results = client.post(path, body, "history").get("results")
    return results if isinstance(results, list) else []


def _change(record: Record, fact: Fact) -> Change | None:
    histories = record.get("propertiesWithHistory") or {}
    entries: list[dict[str, Any]] = histories.get(fact.property) or []
    values = [as_text(entry.get("value")) for entry in entries]
    at = next((i for i, value in enumerate(values) if _same(value, fact.value)), None)
    if at is None:
        return None
    # Written again and again, the value is as old as the first of these writes.
    while at + 1 < len(values) and _same(values[at + 1], fact.value):
        at += 1
    entry = entries[at]
    changed_at = parse_time(entry.get("timestamp"))
    if changed_at is None:
        return None
    user = entry.get("updatedByUserId")
    return Change(
        fact,
        values[at + 1] if at + 1 < len(values) else None,
        changed_at,
        entry.get("sourceType"),
        None if user is None else str(user),
        parse_time(record.get("updatedAt")),
    )


def _same(told: str | None, value: str) -> bool:
    """Equal; or an instant whose day is the value, as dates are often kept."""
    return told == value or (told or "").startswith(f"{value}T")

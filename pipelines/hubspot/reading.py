"""The ways to read records: list, search by id keyset, batch read.

Facts: hubspot_api.md 2.3 (list), 2.5 (batch read), 3 (search), 10.1 (URL length).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from pipelines.errors import HubsyncError, PortalUnavailable
from pipelines.hubspot.client import BadRequest, HubSpot, Kind, decode_json
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.records import Page, Record, ids_of

SEARCH_CAP = 10_000  # results that offsets of one search can reach
LIST_PAGE = 100
SEARCH_PAGE = 200
BATCH = 100
# 414 was seen at 16,200 characters; 5,116 are known to work. Encoding adds a little.
_LONGEST_PROPERTIES = 12_000
_EMPTY_TRIES = 5
_AHEAD_MS = 60 * 60 * 1000  # an open window's end: records may be newer than its start


def objects_path(client: HubSpot, object_type: ObjectType, suffix: str = "") -> str:
    return f"/crm/objects/{client.settings.api_version}/{object_type.path}{suffix}"


def list_page(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    *,
    archived: bool = False,
    after: str | None = None,
    decode: Callable[[bytes], Any] = decode_json,
) -> tuple[Page, str | None]:
    """One page of up to 100 records and the cursor of the next (None at the end).

    Only live or only archived records. Property lists too long for a URL are read by
    batch read instead, one more call per page; values then come from one answer too.
    `decode` may make something else of the records (`page_decoder`).
    """
    joined = ",".join(properties)
    wide = len(joined) > _LONGEST_PROPERTIES
    params = {"limit": str(LIST_PAGE), "archived": "true" if archived else "false"}
    if not wide:
        params["properties"] = joined
    if after is not None:
        params["after"] = after
    kind: Kind = "archived" if archived else "list"
    how = decode_json if wide else decode
    page = client.get(objects_path(client, object_type), params, kind, how)
    records = _results(page)
    following = ((page.get("paging") or {}).get("next") or {}).get("after")
    if wide and records:
        ids = ids_of(records)
        found, _ = batch_read(client, object_type, properties, ids, archived=archived)
        by_id = {str(record["id"]): record for record in found}  # answered in any order
        records = [by_id[each] for each in ids if each in by_id]
    return records, None if following is None else str(following)


def list_pages(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    *,
    archived: bool = False,
    after: str | None = None,
) -> Iterator[tuple[list[Record], str | None]]:
    """Pages of a list, one after the other, each with the cursor of the next.

    Raises PortalUnavailable for a cursor that stands still.
    """
    while True:
        records, following = list_page(
            client, object_type, properties, archived=archived, after=after
        )
        assert isinstance(records, list)
        if following is not None and following == after:
            raise PortalUnavailable(
                f"HubSpot's list of {object_type.name} repeats one page. "
                "Nothing was published; the next sync reads it again."
            )
        after = following
        yield records, after
        if after is None:
            return


def search_pages(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    filters: Sequence[dict[str, Any]],
    *,
    last_id: int = 0,
) -> Iterator[tuple[list[Record], int]]:
    """Pages of 200 in id order that match `filters`, with each page's last id.

    A keyset on hs_object_id instead of an offset: it has no 10,000 cap, rows that
    move cannot shift it, equal timestamps do not matter, and it can be resumed. It is
    finished by `total`, never by a short page. Raises IdsOutOfOrder when ids do not
    ascend, PortalUnavailable when pages stay empty against their total.
    """
    asked: list[str] = list(properties)
    empty = 0
    while True:
        body = {
            "filterGroups": [
                {
                    "filters": [
                        *filters,
                        {
                            "propertyName": "hs_object_id",
                            "operator": "GT",
                            "value": str(last_id),
                        },
                    ]
                }
            ],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": asked,
            "limit": SEARCH_PAGE,
        }
        try:
            page = client.post(
                objects_path(client, object_type, "/search"), body, "search"
            )
        except BadRequest:
            if asked == ["hs_object_id"]:
                raise
            asked = ["hs_object_id"]  # too long a list for search: values by batch
            continue
        records = _results(page)
        total = int(page.get("total") or 0)
        if not records:
            if total == 0:
                return
            empty += 1
            if empty >= _EMPTY_TRIES:
                raise PortalUnavailable(
                    f"HubSpot's search of {object_type.name} counts {total} records "
                    "and shows none. Nothing was published; the next sync reads on."
                )
            time.sleep(0.5 * empty)
            continue
        empty = 0
        ids = [int(record["id"]) for record in records]
        if any(b <= a for a, b in zip([last_id, *ids], ids, strict=False)):
            raise IdsOutOfOrder(f"search of {object_type.name}")
        last_id = ids[-1]
        if asked != list(properties):
            records, _ = batch_read(
                client, object_type, properties, [str(each) for each in ids]
            )
        yield records, last_id
        if total <= len(ids):
            return


class IdsOutOfOrder(HubsyncError):
    """A search does not sort ids as numbers, so a keyset on them is not safe."""


def count(
    client: HubSpot, object_type: ObjectType, filters: Sequence[dict[str, Any]]
) -> int:
    """How many live records match: one search call."""
    body = {
        "filterGroups": [{"filters": list(filters)}] if filters else [],
        "properties": ["hs_object_id"],
        "limit": 1,
    }
    page = client.post(objects_path(client, object_type, "/search"), body, "search")
    return int(page.get("total") or 0)


def highest_id(client: HubSpot, object_type: ObjectType) -> tuple[int, int]:
    """The highest live id that search knows, and how many live records it counts."""
    body = {
        "filterGroups": [],
        "sorts": [{"propertyName": "hs_object_id", "direction": "DESCENDING"}],
        "properties": ["hs_object_id"],
        "limit": 1,
    }
    page = client.post(objects_path(client, object_type, "/search"), body, "search")
    highest = max((int(record["id"]) for record in _results(page)), default=0)
    return highest, int(page.get("total") or 0)


def modified_between(
    object_type: ObjectType, since_ms: int, until_ms: int | None
) -> list[dict[str, Any]]:
    """Filters for `since_ms <= modified < until_ms`, in epoch milliseconds."""
    name = object_type.modified_property
    filters = [{"propertyName": name, "operator": "GTE", "value": str(since_ms)}]
    if until_ms is not None:
        filters.append({"propertyName": name, "operator": "LT", "value": str(until_ms)})
    return filters


def modified_pages(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    since_ms: int,
    until_ms: int | None = None,
    *,
    last_id: int = 0,
) -> Iterator[tuple[list[Record], str | None]]:
    """Live records modified in [since, until), each page with the id to resume after.

    By id keyset, and by time windows (which cannot be resumed: None) where the portal
    does not sort ids as numbers.
    """
    filters = modified_between(object_type, since_ms, until_ms)
    try:
        for records, last in search_pages(
            client, object_type, properties, filters, last_id=last_id
        ):
            yield records, str(last)
    except IdsOutOfOrder:
        until = until_ms or round(client.now().timestamp() * 1000) + _AHEAD_MS
        for records in window_pages(client, object_type, properties, since_ms, until):
            yield records, None


def window_pages(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    since_ms: int,
    until_ms: int,
) -> Iterator[list[Record]]:
    """Records modified in [since, until), by offset inside windows that fit the cap.

    The way for a portal whose search does not order ids as numbers: windows are
    halved until each holds fewer results than offsets can reach. Rows that move while
    a window is read are newer than the sweep, so the next one has them. Raises
    PortalUnavailable where one millisecond holds more than the cap.
    """
    filters = modified_between(object_type, since_ms, until_ms)
    if count(client, object_type, filters) >= SEARCH_CAP:
        if until_ms - since_ms <= 1:
            raise PortalUnavailable(
                f"More than {SEARCH_CAP:,} {object_type.name} changed in one "
                "millisecond and HubSpot's search does not order ids; run "
                "`hubsync sync --full`. Nothing was published."
            )
        middle = (since_ms + until_ms) // 2
        for low, high in ((since_ms, middle), (middle, until_ms)):
            yield from window_pages(client, object_type, properties, low, high)
        return
    after: str | None = None
    while True:
        body: dict[str, Any] = {
            "filterGroups": [{"filters": filters}],
            "sorts": [
                {
                    "propertyName": object_type.modified_property,
                    "direction": "ASCENDING",
                }
            ],
            "properties": ["hs_object_id"],
            "limit": SEARCH_PAGE,
        }
        if after is not None:
            body["after"] = after
        page = client.post(objects_path(client, object_type, "/search"), body, "search")
        ids = [str(record["id"]) for record in _results(page)]
        if ids:
            yield batch_read(client, object_type, properties, ids)[0]
        following = ((page.get("paging") or {}).get("next") or {}).get("after")
        if following is None or not ids:
            return
        after = str(following)


def batch_read(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    ids: Iterable[str],
    *,
    archived: bool = False,
) -> tuple[list[Record], set[str]]:
    """Records by id, 100 per call, and the ids HubSpot says it does not have.

    An id that is in neither is unknown: HubSpot answered about another record (a
    merge survivor) or not at all. Raises PortalUnavailable on any other row error.
    """
    found: list[Record] = []
    missing: set[str] = set()
    remaining = iter(dict.fromkeys(ids))
    while chunk := list(islice(remaining, BATCH)):
        suffix = f"/batch/read?archived={str(archived).lower()}"
        body = {
            "inputs": [{"id": each} for each in chunk],
            "properties": list(properties),
        }
        answer = client.post(
            objects_path(client, object_type, suffix), body, "batch_read"
        )
        found += _results(answer)
        for error in answer.get("errors") or []:
            if error.get("category") != "OBJECT_NOT_FOUND":
                raise PortalUnavailable(
                    f"HubSpot could not read some {object_type.name}: "
                    f"{error.get('message')}. Nothing was published."
                )
            missing.update(str(i) for i in (error.get("context") or {}).get("ids", []))
    return found, missing


def _results(page: dict[str, Any]) -> Any:
    results = page.get("results")
    if not isinstance(results, list | pa.StructArray):
        raise PortalUnavailable(
            "HubSpot answered without results where records were asked for. "
            "Nothing was published; the next sync reads again."
        )
    return results

"""Associations of records, both directions, exactly as HubSpot sends them.

Facts: hubspot_api.md 4.1 (batch read of 1,000, 207, paging per record), 4.4 (a link
does not move a modified date).

HubSpot gives each direction of a link its own type ids. So a changed record is read
from its own side, the answer is compared with what is stored, and wherever a link
appeared, vanished or changed, the other end is read too. What is stored is always
HubSpot's word on that direction, never a mirror image that we made up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from sys import intern
from typing import Any

import pyarrow as pa

from pipelines.errors import HubsyncError, PortalUnavailable
from pipelines.hubspot.client import BadRequest, HubSpot, NotFound
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.raw import table
from pipelines.warehouse import Warehouse

INPUTS = 1_000
_THREADS = 4
_BATCH = 10_000  # rows that become columns at once

Pair = tuple[str, str]  # from type, to type
Link = tuple[str, int, str | None, str | None]  # to id, type id, category, label
_NO_LINKS: Set[Link] = frozenset()
Answer = tuple[Pair, dict[str, Set[Link]] | None]
# By pair and record: links to write, and links to remove.
Changes = dict[tuple[Pair, str], tuple[Set[Link], Set[Link]]]
Rows = list[tuple[Any, ...]]

SCHEMA = pa.schema(
    [
        ("from_type", pa.string()),
        ("from_id", pa.string()),
        ("to_type", pa.string()),
        ("to_id", pa.string()),
        ("type_id", pa.int64()),
        ("category", pa.string()),
        ("label", pa.string()),
        ("_removed", pa.bool_()),
    ]
)


@dataclass
class Associations:
    """Reads and compares; one instance per run.

    `unsupported` pairs are asked once. Where a pair cannot be read, both its types
    are in `failed`; nothing is said of that pair, and the others go on.
    """

    client: HubSpot
    warehouse: Warehouse
    types: Mapping[str, ObjectType]
    pairs: list[Pair]
    unsupported: set[Pair] = field(default_factory=set)
    without_records: set[str] = field(default_factory=set)
    failed: dict[str, HubsyncError] = field(default_factory=dict)
    _ahead: dict[Pair, list[tuple[set[str], Future[Answer]]]] = field(
        default_factory=dict
    )
    _short: dict[str, list[str]] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS)
    )

    def read_ahead(self, name: str, ids: list[str]) -> None:
        """Start to read the links of records that a list has just shown.

        Their answers are used by the next `changes`; meanwhile the list goes on and
        the database writes.
        """
        ids = self._short.pop(name, []) + ids
        whole = len(ids) - len(ids) % INPUTS
        self._short[name] = ids[whole:]  # too few for a call of their own
        for pair in self.pairs:
            if pair[0] != name or not self._may_hold(pair):
                continue
            for start in range(0, whole, INPUTS):
                chunk = ids[start : start + INPUTS]
                future = self._pool.submit(self._attempt, pair, chunk)
                self._ahead.setdefault(pair, []).append((set(chunk), future))

    def holds_any(self, name: str) -> bool:
        """Whether records of the type can have links, as far as is known by now."""
        return any(pair[0] == name and self._may_hold(pair) for pair in self.pairs)

    def close(self) -> None:
        """Give up what was to be read ahead."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def changes(
        self,
        changed: Mapping[str, Iterable[str]],
        gone: Mapping[str, Iterable[str]],
        unread: Callable[[str, str], bool],
    ) -> tuple[pa.Table, bool]:
        """Rows to merge so that these records' links equal HubSpot's, and whether
        none of them is stored in another form (then they may as well be appended).

        `changed` live records and `gone` ones (archived, merged) by type;
        `unread(type, id)` says that a first load will still read that record, so its
        side need not be fetched now.
        """
        found: Changes = {}
        are_new = True
        read: dict[Pair, dict[str, Set[Link]]] = {}
        again: set[tuple[Pair, str]] = set()
        gone_sets = {name: set(ids) for name, ids in gone.items()}
        todo: dict[Pair, set[str]] = {
            pair: set(changed[pair[0]]) - gone_sets.get(pair[0], set())
            for pair in self.pairs
            if changed.get(pair[0])
        }
        ended = {
            pair: gone_sets[pair[0]] for pair in self.pairs if pair[0] in gone_sets
        }
        while any(todo.values()) or ended:
            answers = self._read({pair: ids for pair, ids in todo.items() if ids})
            for pair, ids in ended.items():
                answers.setdefault(pair, {}).update(dict.fromkeys(ids, _NO_LINKS))
            for pair, links in answers.items():
                read.setdefault(pair, {}).update(links)
            ended, todo = {}, {}
            for pair, links in answers.items():
                if not links:
                    continue
                stored = self._stored(pair, links)
                differing: list[tuple[str, str]] = []
                for from_id, now in links.items():
                    before = stored.get(from_id, _NO_LINKS)
                    if now == before:
                        found.pop((pair, from_id), None)
                        continue
                    are_new = are_new and not before
                    kept = {link[:2] for link in now}
                    dropped = {link for link in before - now if link[:2] not in kept}
                    # A second answer takes the place of the first.
                    added = now - before if before else now
                    found[pair, from_id] = added, dropped
                    differing += [(from_id, link[0]) for link in now ^ before]
                reverse = (pair[1], pair[0])
                for from_id, end in differing:
                    if end in gone_sets.get(pair[1], set()) or unread(pair[1], end):
                        continue
                    answer = read.get(reverse, {}).get(end)
                    if answer is None:
                        todo.setdefault(reverse, set()).add(end)
                        continue
                    # Both ends were read. Where they disagree, the link came or went
                    # between the two answers: both are read once more.
                    here = any(link[0] == end for link in links[from_id])
                    there = any(link[0] == from_id for link in answer)
                    if here != there and (pair, from_id) not in again:
                        again |= {(pair, from_id), (reverse, end)}
                        todo.setdefault(pair, set()).add(from_id)
                        todo.setdefault(reverse, set()).add(end)
        return _to_arrow(found), are_new

    def _stored(self, pair: Pair, ids: Collection[str]) -> dict[str, set[Link]]:
        stored: dict[str, set[Link]] = {}
        with self.warehouse.connect() as connection:
            # A first load asks for many, and stores none yet. Of a few, the question
            # alone would take longer than their answer: no index is of a pair.
            if len(ids) > INPUTS:
                [(any_stored,)] = connection.execute(
                    f"select exists (select 1 from {table('associations')} "
                    "where from_type = ? and to_type = ?)",
                    pair,
                )
                if not any_stored:
                    return stored
            rows = connection.execute(
                "select from_id, to_id, type_id, category, label "
                f"from {table('associations')} "
                "where from_type = ? and to_type = ? "
                "and from_id in (select unnest(cast(? as text[])))",
                (*pair, list(ids)),
            )
        for from_id, *link in rows:
            stored.setdefault(from_id, set()).add(
                (link[0], int(link[1]), link[2], link[3])
            )
        return stored

    def _read(self, todo: Mapping[Pair, set[str]]) -> dict[Pair, dict[str, Set[Link]]]:
        """Every id of every pair with its links, an empty set where it has none."""
        futures: list[Future[Answer]] = []
        for pair, wanted in todo.items():
            if not self._may_hold(pair):
                continue
            left = set(wanted)
            for ids, future in self._ahead.pop(pair, []):
                if left & ids:
                    futures.append(future)
                    left -= ids
            ordered = sorted(left, key=int)
            futures += [
                self._pool.submit(self._attempt, pair, ordered[start : start + INPUTS])
                for start in range(0, len(ordered), INPUTS)
            ]
        answers: dict[Pair, dict[str, Set[Link]]] = {}
        for future in futures:
            pair, links = future.result()
            if links is None:
                self.unsupported.add(pair)
            else:
                found = answers.setdefault(pair, {})
                found.update({i: to for i, to in links.items() if i in todo[pair]})
        return answers

    def _may_hold(self, pair: Pair) -> bool:
        """Whether HubSpot can have links of this pair: not towards a type of which
        this load has listed all, and found none."""
        return pair not in self.unsupported and not self.without_records & set(pair)

    def _attempt(self, pair: Pair, ids: list[str]) -> Answer:
        try:
            return self._read_chunk(pair, ids)
        except HubsyncError as error:
            self.failed[pair[0]] = self.failed[pair[1]] = error
            return pair, {}

    def _read_chunk(self, pair: Pair, ids: list[str]) -> Answer:
        """Links of up to 1,000 records, every page; None if the pair does not exist."""
        version = self.client.settings.api_version
        path = (
            f"/crm/associations/{version}/{self.types[pair[0]].path}"
            f"/{self.types[pair[1]].path}/batch/read"
        )
        links: dict[str, Set[Link]] = dict.fromkeys(ids, _NO_LINKS)
        inputs: list[dict[str, str]] = [{"id": each} for each in ids]
        while inputs:
            try:
                answer = self.client.post(path, {"inputs": inputs}, "associations")
            except (BadRequest, NotFound):
                return pair, None
            for error in answer.get("errors") or []:
                if error.get("category") != "OBJECT_NOT_FOUND":
                    raise PortalUnavailable(
                        f"HubSpot could not read associations of {pair[0]} with "
                        f"{pair[1]}: {error.get('message')}. Nothing was published."
                    )
            following: list[dict[str, str]] = []
            for result in answer.get("results") or []:
                from_id = str(result["from"]["id"])
                links[from_id] = links.get(from_id, _NO_LINKS) | {
                    (
                        intern(str(end["toObjectId"])),
                        int(kind["typeId"]),
                        _once(kind.get("category")),
                        _once(kind.get("label")),
                    )
                    for end in result.get("to") or []
                    for kind in end.get("associationTypes") or []
                }
                after = ((result.get("paging") or {}).get("next") or {}).get("after")
                if after is not None:
                    following.append({"id": from_id, "after": str(after)})
            if following == inputs:
                raise PortalUnavailable(
                    f"HubSpot repeats a page of associations of {pair[0]} with "
                    f"{pair[1]}. Nothing was published."
                )
            inputs = following
        return pair, links


def _once(text: str | None) -> str | None:
    """Of millions of links a few texts: each in memory once."""
    return None if text is None else intern(text)


def _rows(pair: Pair, from_id: str, added: Set[Link], dropped: Set[Link]) -> Rows:
    """One row per key: of two labels for one type id in one answer, one."""
    rows = [
        (pair[0], from_id, pair[1], *link, removed)
        for links, removed in ((dropped, True), (added, None))
        for link in links
    ]
    return list({row[:5]: row for row in rows}.values())


def _to_arrow(changes: Changes) -> pa.Table:
    """Consumes `changes`: of a first load's millions of links, as rows they would need
    several times the memory that they need as links or as columns."""
    batches: list[pa.RecordBatch] = []
    rows: Rows = []
    while changes:
        (pair, from_id), (added, dropped) = changes.popitem()
        rows += _rows(pair, from_id, added, dropped)
        if len(rows) >= _BATCH or not changes:
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
            rows = []
    return pa.Table.from_batches(batches, SCHEMA)

"""What the modified date does not tell, each on its own cadence inside a load.

| check | finds | calls |
|---|---|---|
| archive | archived, restored, purged | ⌈archived/100⌉ per type |
| new properties | values of a property added since | ⌈holders/200⌉ per property |
| audit | missed or late records, privacy deletions | about 115 searches per type |
| links again | association changes without a record change | ⌈N/1000⌉ per pair |

The fifth, reading every record again (calculated properties, an id walk), is the list
itself, repeated: ⌈N/100⌉ per type. A check that HubSpot did not answer to the end
decides nothing and is due again at the next sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pipelines.errors import HubsyncError, PortalUnavailable
from pipelines.hubspot import audit
from pipelines.hubspot.absence import Found, explain
from pipelines.hubspot.associations import Associations
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.columns import Columns
from pipelines.hubspot.journal import JournalRead
from pipelines.hubspot.raw import (
    counts_by_edges,
    live_ids,
    live_ids_modified,
    mark_erased,
    mark_merged,
    mark_state,
    oldest_update,
    stored_archived,
    stored_states,
    stored_updates,
)
from pipelines.hubspot.reading import (
    LIST_PAGE,
    IdsOutOfOrder,
    list_pages,
    modified_pages,
    search_pages,
)
from pipelines.hubspot.records import Record, parse_time
from pipelines.hubspot.state import JOURNAL, Watermark, is_due, write_state
from pipelines.hubspot.sweep import ROUND, ROUND_WITH_LINKS, Sweep

if TYPE_CHECKING:
    from pipelines.load import Load

Run = Callable[..., list[str]]


def settle(
    load: Load,
    run: Run,
    links: Associations,
    columns: Mapping[str, Columns],
    found: Mapping[str, Found],
) -> None:
    """Bring raw to what was found: links first, then records, then marks.

    In this order a crash repeats the whole, because what was found is found again
    until the records themselves are written.
    """
    changed: dict[str, list[str]] = {}
    with load.warehouse.connect() as connection:
        for name, each in found.items():
            if each.gone:
                states = stored_states(connection, name, each.gone)
                merged = {i for i, state in states.items() if state == "merged"}
                each.archived = [r for r in each.archived if str(r["id"]) not in merged]
                each.erased = [i for i in each.erased if i not in merged]
                each.missing = [i for i in each.missing if i not in merged]
            if each.live:
                stored = stored_updates(connection, name, each.live_ids)
                changed[name] = [
                    str(record["id"])
                    for record in each.live
                    if str(record["id"]) not in stored
                    or stored[str(record["id"])] != parse_time(record.get("updatedAt"))
                ]
    gone = {name: each.gone for name, each in found.items() if each.gone}
    load.link(run, links, changed, gone, {})
    for name in found:
        if name in links.failed:
            raise links.failed[name]
    tables = {
        name: partial(each.tables, columns[name])
        for name, each in found.items()
        if each.live or each.archived
    }
    if tables:
        run(tables, {})
        with load.warehouse.connect() as connection:
            ids = {n: [*found[n].live_ids, *found[n].archived_ids] for n in tables}
            load.wrote_only(connection, ids)
    with load.warehouse.connect() as connection:
        for name, each in found.items():
            mark_erased(connection, name, each.erased)
            mark_state(connection, name, each.missing, "missing")


def _named(
    client: HubSpot,
    properties: list[str],
    ids: set[str],
    erased: list[str],
    sweep: Sweep,
) -> Found:
    found = explain(client, sweep.object_type, properties, ids)
    found.erased = sorted({*found.erased, *erased})
    return found


@dataclass
class Checks:
    """The checks of one load, over the types whose own reading succeeded."""

    load: Load
    run: Run
    links: Associations
    columns: Mapping[str, Columns]
    sweeps: Mapping[str, Sweep]

    def journal(self, read: JournalRead) -> None:
        """What the webhooks journal tells (9.3), then its offset.

        It says where to look; values, archive dates and links come from HubSpot's own
        reads. Only a privacy deletion is taken at its word, because nothing is left
        to read. After a lost window every slow check is due at once.
        """
        with self.load.timed("journal"):
            for sweep in self._readable():
                name, mark = sweep.object_type.name, sweep.watermark
                if read.lost_window or name in read.uncovered:
                    mark.archived_at = mark.audited_at = mark.links_at = None
                    mark.archived_count = LIST_PAGE + 1
                look_at = (
                    read.changed.get(name, set())
                    | read.restored.get(name, set())
                    | read.deleted.get(name, set())
                )
                erased = read.erased.get(name, set())
                losers = read.merged.get(name, {})
                relinked = read.relinked.get(name, set()) | read.restored.get(
                    name, set()
                )
                names = sweep.columns.properties
                found = self._read(
                    [sweep],
                    partial(_named, self.load.client, names, look_at, sorted(erased)),
                )
                self._settle(found)
                if relinked or losers:
                    self.load.link(
                        self.run,
                        self.links,
                        {name: sorted(relinked)},
                        {name: sorted(losers)},
                        {},
                    )
                if error := self.links.failed.get(name):
                    sweep.failure = error
                    continue
                with self.load.warehouse.connect() as connection:
                    mark_merged(connection, name, losers)
            if all(sweep.failure is None for sweep in self.sweeps.values()):
                with self.load.warehouse.connect() as connection:
                    write_state(connection, [Watermark(JOURNAL, cursor_id=read.offset)])

    def archive(self) -> None:
        """Archived and restored records (11).

        HubSpot gives archived records only as a list without a time filter. Where
        that list is one page it is read every run, else every `archived_minutes`.
        """
        age = timedelta(minutes=self.load.settings.archived_minutes)
        due = [
            s
            for s in self._readable()
            if self.load.full
            or s.watermark.archived_count <= LIST_PAGE
            or self._is_due(s.watermark.archived_at, age)
        ]
        if not due:
            return
        with self.load.timed("archive"):
            self.load.progress("archived records", 0, None)
            with self.load.warehouse.connect() as connection:
                stored = [stored_archived(connection, s.object_type.name) for s in due]
            counts: dict[str, int] = {}
            found = self._read(
                due,
                lambda sweep: self._archived(sweep, stored[due.index(sweep)], counts),
            )
            self._settle(found)
            for name, total in counts.items():
                mark = self.sweeps[name].watermark
                if name in found:
                    mark.archived_at = self.load.client.now()
                    mark.archived_count = total
            self._write(found)

    def _archived(
        self,
        sweep: Sweep,
        stored: Mapping[str, datetime | None],
        counts: dict[str, int],
    ) -> Found:
        names = sweep.columns.properties
        found = Found()
        seen: set[str] = set()
        for records, _ in list_pages(
            self.load.client, sweep.object_type, names, archived=True
        ):
            for record in records:
                record_id = str(record["id"])
                if record_id in seen:
                    continue
                seen.add(record_id)
                at = parse_time(record.get("archivedAt"))
                if record_id not in stored or stored[record_id] != at:
                    found.archived.append(record)
        counts[sweep.object_type.name] = len(seen)
        vanished = stored.keys() - seen
        found.add(explain(self.load.client, sweep.object_type, names, vanished))
        return found

    def new_properties(self) -> None:
        """Values that a property added since already has: search HAS_PROPERTY."""
        due = [
            s
            for s in self.sweeps.values()
            if s.failure is None and s.watermark.pending_properties
        ]
        if not due:
            return
        with self.load.timed("new properties"):
            for sweep in due:
                try:
                    for name in (sweep.watermark.pending_properties or "").split(","):
                        self._holders(sweep, name)
                except HubsyncError as error:
                    sweep.failure = error
                    continue
                sweep.watermark.pending_properties = None
                self._write([sweep.object_type.name])

    def _holders(self, sweep: Sweep, prop: str) -> None:
        client, kind, names = (
            self.load.client,
            sweep.object_type,
            sweep.columns.properties,
        )
        filters = [{"propertyName": prop, "operator": "HAS_PROPERTY"}]
        try:
            self._settle_pages(kind.name, search_pages(client, kind, names, filters))
        except IdsOutOfOrder:  # no keyset on this portal: its holders are in the list
            self._settle_pages(kind.name, list_pages(client, kind, names))

    def _settle_pages(
        self, name: str, pages: Iterable[tuple[list[Record], object]]
    ) -> None:
        held: list[Record] = []
        for records, _ in pages:
            held += records
            if len(held) >= ROUND:
                self._settle({name: Found(live=held)})
                held = []
        self._settle({name: Found(live=held)})

    def audit(self) -> None:
        """Counts per time bucket; what differs is read and the absent asked for."""
        age = timedelta(hours=self.load.settings.audit_hours)
        # A list just read is audited only where its own count was in doubt.
        due = [s for s in self._readable() if self._is_due(s.watermark.audited_at, age)]
        if not due:
            return
        with self.load.timed("count audit"):
            for sweep in due:
                self.load.progress(f"count audit of {sweep.object_type.name}", 0, None)
                found = self._read([sweep], self._audited)
                self._settle(found)
                for name in found:
                    mark = self.sweeps[name].watermark
                    mark.audited_at = self.load.client.now()
                self._write(found)

    def _audited(self, sweep: Sweep) -> Found:
        name, warehouse = sweep.object_type.name, self.load.warehouse
        mark = sweep.watermark
        assert mark.complete_until is not None
        until = mark.complete_until - timedelta(
            minutes=self.load.settings.lookback_minutes
        )
        with warehouse.connect() as connection:
            oldest = oldest_update(connection, name) or until

        def ours(bounds: list[datetime]) -> list[int]:
            with warehouse.connect() as connection:
                return counts_by_edges(connection, name, bounds)

        client = self.load.client
        found = Found()
        for low, high in audit.differing(
            client, sweep.object_type, ours, oldest, until
        ):
            pages = modified_pages(
                client,
                sweep.object_type,
                sweep.columns.properties,
                audit.milliseconds(low),
                audit.milliseconds(high),
            )
            shown = [record for records, _ in pages for record in records]
            with warehouse.connect() as connection:
                held = live_ids_modified(connection, name, low, high)
            absent = held - {str(record["id"]) for record in shown}
            found.add(Found(live=shown))
            found.add(
                explain(client, sweep.object_type, sweep.columns.properties, absent)
            )
        # A record that moved between two buckets is found in both; the last counts.
        found.live = list({str(r["id"]): r for r in found.live}.values())
        return found

    def links_again(self) -> None:
        """Every association of every live record, compared with what is stored."""
        age = timedelta(hours=self.load.settings.links_hours)
        # A list just read has brought its links with it.
        due = [s for s in self._readable() if self._is_due(s.watermark.links_at, age)]
        if not due:
            return
        with self.load.timed("links again"):
            for sweep in due:
                name = sweep.object_type.name
                self.load.progress(f"associations of {name}", 0, None)
                with self.load.warehouse.connect() as connection:
                    ids = live_ids(connection, name)
                for start in range(0, len(ids), ROUND_WITH_LINKS):
                    part = {name: ids[start : start + ROUND_WITH_LINKS]}
                    self.load.link(self.run, self.links, part, {}, {})
                if error := self.links.failed.get(name):
                    sweep.failure = error
                    continue
                sweep.watermark.links_at = self.load.client.now()
                self._write([name])

    # -- shared ------------------------------------------------------------------

    def _readable(self) -> list[Sweep]:
        return [s for s in self.sweeps.values() if s.failure is None and s.done]

    def _is_due(self, last: datetime | None, every: timedelta) -> bool:
        return is_due(last, self.load.client.now(), every)

    def _read(
        self, due: list[Sweep], read: Callable[[Sweep], Found]
    ) -> dict[str, Found]:
        """What each type's check found; a failure is kept and decides nothing."""

        def attempt(sweep: Sweep) -> Found | None:
            try:
                return read(sweep)
            except HubsyncError as error:
                sweep.failure = error
                return None

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(attempt, due))
        return {
            sweep.object_type.name: found
            for sweep, found in zip(due, results, strict=True)
            if found is not None
        }

    def _settle(self, found: Mapping[str, Found]) -> None:
        """Raw as found. Links that cannot be read leave the check undone."""
        try:
            settle(self.load, self.run, self.links, self.columns, found)
        except PortalUnavailable as error:
            for name in found:
                self.sweeps[name].failure = error

    def _write(self, names: Iterable[str]) -> None:
        sweeps = [self.sweeps[name] for name in names]
        marks = [sweep.watermark for sweep in sweeps if sweep.failure is None]
        with self.load.warehouse.connect() as connection:
            write_state(connection, marks)

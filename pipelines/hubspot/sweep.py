"""Reading one object type in rounds: first its list, later what changed.

A round is what one load takes: a bounded number of records, so that memory does not
grow with the portal and an interrupted first load goes on where its last load ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from pipelines.errors import HubsyncError
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.columns import Columns
from pipelines.hubspot.listing import Listing, OpaqueList, Span, Spans
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.reading import (
    SEARCH_PAGE,
    IdsOutOfOrder,
    count,
    list_pages,
    modified_pages,
    search_pages,
)
from pipelines.hubspot.records import (
    Page,
    Record,
    ids_of,
    newest,
    page_decoder,
    to_arrow,
    together,
)
from pipelines.hubspot.state import Watermark

ROUND = 100_000  # records per type and load: a minute of calls, half a second of dlt's
# Where they have links, which all wait in memory for the round's end: of some types
# that are listed side by side, a gigabyte.
ROUND_WITH_LINKS = 25_000
BATCH = 2_000  # records per Arrow table: fast to build, small in memory

# A cursor that can only be followed, as a watermark keeps it beside ranges of ids.
_OPAQUE = "after="

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class _Batch:
    ids: list[str]
    rows: pa.Table
    newest_ms: int | None
    newest_ties: int


@dataclass
class Sweep:
    """One complete read of a type, over as many rounds as it takes."""

    client: HubSpot
    object_type: ObjectType
    columns: Columns
    watermark: Watermark
    lookback: timedelta
    hourly: bool  # whether this sweep reaches back the hourly and the nightly stretch
    nightly: bool
    progress: Progress
    read: int = 0
    done: bool = False
    failure: HubsyncError | None = None
    round_ids: list[str] = field(default_factory=list)
    round_spans: list[Span] = field(default_factory=list)  # what its list has passed
    resumed: bool = False
    repeat: bool = False
    doubtful: bool = False  # HubSpot counts another number than its list showed
    on_listed: Callable[[str, list[str]], None] | None = None
    on_none: Callable[[str], None] | None = None  # listed to its end, without a record
    has_links: Callable[[str], bool] | None = None
    _listing: Listing[_Batch] | None = None
    _highest: int = 0  # id listed
    _newest: int | None = None
    _ties: int = 0

    def begin(self) -> None:
        """Fix the moment the sweep starts; a resumed one keeps its own."""
        self.resumed = self.watermark.started_at is not None
        if not self.resumed:
            self.watermark.started_at = self.client.now()

    @property
    def listing(self) -> bool:
        return self.watermark.phase == "list"

    @property
    def remaining(self) -> Spans:
        """The ids that the list has yet to pass; none where it can only be followed."""
        cursor = self.watermark.cursor_id
        if cursor is not None and cursor.startswith(_OPAQUE):
            return Spans([])
        spans = Spans.parse(cursor)
        # A place of another form is one of an earlier release: from the start.
        return Spans() if spans is None else spans

    def round(self) -> Iterator[pa.Table]:
        """Arrow tables of one round. A failure ends it and is kept in `failure`."""
        self.round_ids, self.round_spans = [], []
        begun = self.read
        try:
            for batch, cursor in self._batches():
                self._take(batch, cursor)
                if batch.ids:
                    yield batch.rows
                if self.read - begun >= self._round_size() and cursor is not None:
                    return
            if self.listing and not self.resumed:
                yield from self._tail()
            self.done = True
        except OpaqueList:  # the next round follows its cursors, from the start
            self.watermark.cursor_id = _OPAQUE
        except HubsyncError as error:  # what was yielded is loaded, the rest read again
            self.failure = error

    def _round_size(self) -> int:
        if self.has_links is not None and self.has_links(self.object_type.name):
            return min(ROUND, ROUND_WITH_LINKS)
        return ROUND

    def _tail(self) -> Iterator[pa.Table]:
        """What search counts beyond the end of the list: records made meanwhile, or
        a list that ended too early. What is missing elsewhere makes it doubtful."""
        known = count(self.client, self.object_type, [])
        if not known and not self.read and self.on_none is not None:
            self.on_none(self.object_type.name)
        if known <= self.read:
            return
        try:
            for records, _ in search_pages(
                self.client,
                self.object_type,
                self.columns.properties,
                [],
                last_id=self._highest,
            ):
                batch = self._converted([records])
                self._take(batch, None)
                yield batch.rows
        except IdsOutOfOrder:
            pass
        self.doubtful = known > self.read

    def close(self) -> None:
        """End the threads that read ahead."""
        if self._listing is not None:
            self._listing.close()

    def _batches(self) -> Iterator[tuple[_Batch, str | None]]:
        """Records, each once in a round, and where to go on after them."""
        cursor = self.watermark.cursor_id
        if self.listing and (cursor is None or not cursor.startswith(_OPAQUE)):
            yield from self._ranges()
            return
        seen: set[str] = set()
        held: list[Record] = []
        pages = self._followed(cursor) if self.listing else self._modified()
        for records, cursor in pages:
            held += [record for record in records if str(record["id"]) not in seen]
            seen.update(str(record["id"]) for record in records)
            if len(held) >= BATCH:
                yield self._converted([held]), cursor
                held = []
        yield self._converted([held]), None

    def _ranges(self) -> Iterator[tuple[_Batch, str | None]]:
        remaining = self.remaining
        if self._listing is None:
            self._listing = Listing(
                self.client,
                self.object_type,
                self.columns.properties,
                remaining,
                self._converted,
                page_decoder(self.columns),
            )
        for batch in self._listing.batches():
            remaining.remove(batch.low, batch.high)
            self.round_spans.append((batch.low, batch.high))
            yield batch.rows, str(remaining) or None

    def _followed(
        self, cursor: str | None
    ) -> Iterator[tuple[list[Record], str | None]]:
        after = (cursor or "").removeprefix(_OPAQUE) or None
        passed = 0
        for records, following in list_pages(
            self.client, self.object_type, self.columns.properties, after=after
        ):
            # In whatever order: what was passed so far is asked about by name.
            low = passed
            passed = max([passed, *(int(record["id"]) + 1 for record in records)])
            self.round_spans.append((low, None if following is None else passed))
            yield records, None if following is None else f"{_OPAQUE}{following}"

    def _modified(self) -> Iterator[tuple[list[Record], str | None]]:
        yield from modified_pages(
            self.client,
            self.object_type,
            self.columns.properties,
            self._since(),
            last_id=int(self.watermark.cursor_id or 0),
        )

    def _since(self) -> int:
        """Start of the window in epoch milliseconds.

        The start of the last complete sweep less the look-back (late indexing), but
        never after the newest date seen: if this machine's clock and HubSpot's
        disagree by hours, nothing is missed. Where more than a page of records share
        that newest date (a bulk edit), they are not read again for it.
        """
        assert self.watermark.complete_until is not None
        since = round(
            (self.watermark.complete_until - self.lookback).timestamp() * 1000
        )
        if self.watermark.newest_ms is None:
            return since
        tied = self.watermark.newest_ties > SEARCH_PAGE // 2
        return min(since, self.watermark.newest_ms + tied)

    def _converted(self, pages: list[Page]) -> _Batch:
        pages = together(pages)
        rows = pa.concat_tables(
            [to_arrow(page, self.columns, "live") for page in pages]
        )
        column = self.columns.by_property.get(self.object_type.modified_property)
        ids = [each for page in pages for each in ids_of(page)]
        return _Batch(ids, rows, *newest(rows, column))

    def _take(self, batch: _Batch, cursor: str | None) -> None:
        if batch.newest_ms is not None and batch.newest_ms >= (self._newest or 0):
            before = self._ties if batch.newest_ms == self._newest else 0
            self._newest, self._ties = batch.newest_ms, before + batch.newest_ties
        self.round_ids += batch.ids
        self._highest = max([self._highest, *map(int, batch.ids)])
        self.watermark.cursor_id = cursor
        self.read += len(batch.ids)
        total = self._listing.total if self._listing else None
        self.progress(self.object_type.name, self.read, total)
        if self.listing and self.on_listed is not None:
            self.on_listed(self.object_type.name, batch.ids)

    def fail(self, error: HubsyncError) -> None:
        """What belongs to this round could not be read: the next run repeats it."""
        self.failure, self.done, self.repeat = error, False, True

    def committed(self) -> Watermark:
        """The watermark to write once this round's load and links are committed."""
        mark = self.watermark
        if self.done:
            if self.listing:
                checked = mark.started_at
                mark.hourly_at = mark.nightly_at = mark.links_at = checked
                mark.audited_at = None if self.doubtful else checked
                mark.verified_at = checked
                mark.pending_properties = None
                mark.repeats_list = False
            if self.hourly:
                mark.hourly_at = mark.started_at
            if self.nightly:
                mark.nightly_at = mark.started_at
            mark.phase = "search"
            mark.complete_until, mark.started_at = mark.started_at, None
            mark.cursor_id = None
            if self._newest is not None and self._newest >= (mark.newest_ms or 0):
                mark.newest_ms, mark.newest_ties = self._newest, self._ties
        return copy(mark)

    def unread(self, record_id: str) -> bool:
        """Whether a first load has this record still before it."""
        if not self.listing or self.done:
            return False
        try:
            return int(record_id) in self.remaining
        except ValueError:
            return False

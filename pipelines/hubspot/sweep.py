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
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.reading import (
    SEARCH_PAGE,
    count,
    list_pages,
    modified_pages,
)
from pipelines.hubspot.records import Record, modified_ms, to_arrow
from pipelines.hubspot.state import Watermark

ROUND = 20_000  # records per type and load
BATCH = 2_000  # records per Arrow table: fast to build, small in memory

Progress = Callable[[str, int, int | None], None]


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
    resumed: bool = False
    repeat: bool = False
    doubtful: bool = False  # HubSpot counts another number than its list showed
    walked_from: str | None = None
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

    def round(self) -> Iterator[pa.Table]:
        """Arrow tables of one round. A failure ends it and is kept in `failure`."""
        self.round_ids = []
        self.walked_from = self.watermark.walked_id
        seen: set[str] = set()
        held: list[Record] = []
        cursor = self.watermark.cursor_id
        try:
            for records, cursor in self._pages():
                fresh = [r for r in records if str(r["id"]) not in seen]
                seen.update(str(r["id"]) for r in fresh)
                held += fresh
                if len(held) >= BATCH:
                    yield self._flush(held, cursor)
                    held = []
                if len(seen) >= ROUND and cursor is not None:
                    break
            else:
                self.done = True
                if self.listing and not self.resumed:
                    listed = self.read + len(held)
                    self.doubtful = listed != count(self.client, self.object_type, [])
        except HubsyncError as error:
            self.failure = error
            return  # what was held is read again; what was yielded is loaded
        if held:
            yield self._flush(held, cursor)

    def _pages(self) -> Iterator[tuple[list[Record], str | None]]:
        names = self.columns.properties
        if self.listing:
            yield from list_pages(
                self.client, self.object_type, names, after=self.watermark.cursor_id
            )
            return
        yield from modified_pages(
            self.client,
            self.object_type,
            names,
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

    def _flush(self, records: list[Record], cursor: str | None) -> pa.Table:
        for record in records:
            modified = modified_ms(record, self.object_type.modified_property)
            if modified is not None and modified >= (self._newest or 0):
                self._ties = self._ties + 1 if modified == self._newest else 1
                self._newest = modified
        ids = [str(record["id"]) for record in records]
        self.round_ids += ids
        if self.watermark.walked_id is not None:
            self.watermark.walked_id = max(self.watermark.walked_id, *ids, key=int)
        self.watermark.cursor_id = cursor
        self.read += len(records)
        self.progress(self.object_type.name, self.read, None)
        return to_arrow(records, self.columns, "live")

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
                mark.pending_properties = mark.walked_id = None
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
        cursor = self.watermark.cursor_id
        try:
            return cursor is None or int(record_id) >= int(cursor)
        except ValueError:
            return False  # an opaque cursor tells nothing: read the record now

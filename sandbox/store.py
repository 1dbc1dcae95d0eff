"""Records of one object type, kept sorted by id, and what search may see of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from operator import attrgetter

by_id = attrgetter("id")

History = list[tuple[str | None, int]]  # (value, epoch ms), oldest first


class Record:
    """One record. `properties` is replaced on change, never mutated.

    That makes the index's snapshot of older values (`indexed`) a free reference.
    `state` is live, archived or merged; erased and purged records are not kept.
    """

    __slots__ = (
        "archived_at",
        "created",
        "history",
        "id",
        "indexed",
        "indexed_updated",
        "merged_into",
        "properties",
        "state",
        "updated",
    )

    def __init__(
        self, id: int, properties: dict[str, str], created: int, updated: int
    ) -> None:
        self.id = id
        self.properties = properties
        self.created = created
        self.updated = updated
        self.state = "live"
        self.archived_at: int | None = None
        self.merged_into: int | None = None
        self.history: dict[str, History] | None = None
        self.indexed: dict[str, str] | None = None
        self.indexed_updated = -1


class Table:
    """All records of a type. `live` and `archived` are sorted by id, as lists are."""

    def __init__(self, first_id: int) -> None:
        self.records: dict[int, Record] = {}
        self.live: list[Record] = []
        self.archived: list[Record] = []
        self.next_id = first_id
        self.version = 0  # grows whenever a search could answer differently
        self._oldest_archived = 0
        self._pending: deque[tuple[int, Record, dict[str, str], int]] = deque()

    def add(self, record: Record) -> None:
        self.records[record.id] = record
        self.next_id = max(self.next_id, record.id + 1)
        _place(self.live, record)

    def to_archive(self, record: Record, now: int) -> None:
        _take(self.live, record)
        _place(self.archived, record)
        record.state, record.archived_at = "archived", now
        self._oldest_archived = min(self._oldest_archived or now, now)
        self.version += 1

    def to_live(self, record: Record) -> None:
        _take(self.archived, record)
        _place(self.live, record)
        record.state, record.archived_at = "live", None
        record.indexed, record.indexed_updated = None, -1

    def to_merged(self, record: Record, survivor: int) -> None:
        """Vanishes from every list; only a read by id still finds the survivor."""
        _take(self.live, record)
        record.state, record.merged_into = "merged", survivor
        self.version += 1

    def forget(self, record: Record) -> None:
        if record.state == "live":
            _take(self.live, record)
        elif record.state == "archived":
            _take(self.archived, record)
        self.records.pop(record.id, None)
        self.version += 1

    def archived_before(self, moment: int) -> list[Record]:
        """What the recycle bin no longer keeps; looks only when something may be."""
        if not self.archived or self._oldest_archived > moment:
            return []
        due = [one for one in self.archived if (one.archived_at or 0) <= moment]
        rest = [at for one in self.archived if (at := one.archived_at or 0) > moment]
        self._oldest_archived = min(rest, default=0)
        return due

    def page(self, start_id: int, archived: bool) -> Iterator[Record]:
        """Records with id >= start_id in id order."""
        rows = self.archived if archived else self.live
        for position in range(bisect_left(rows, start_id, key=by_id), len(rows)):
            yield rows[position]

    def survivor(self, record_id: int) -> Record | None:
        """The record, or for a merged-away id the one it was merged into."""
        record = self.records.get(record_id)
        while record is not None and record.merged_into is not None:
            record = self.records.get(record.merged_into)
        return record

    def index(self, record: Record, now: int, lag: float) -> None:
        """Hand the record's present values to the search index."""
        if lag <= 0 and not self._pending:
            record.indexed = record.properties
            record.indexed_updated = record.updated
            self.version += 1
        else:
            self._pending.append((now, record, record.properties, record.updated))

    def settle(self, now: int, lag: float) -> None:
        """Let the index catch up with every change older than `lag` seconds."""
        while self._pending and self._pending[0][0] + lag * 1000 <= now:
            _, record, properties, updated = self._pending.popleft()
            record.indexed, record.indexed_updated = properties, updated
            self.version += 1


def _place(rows: list[Record], record: Record) -> None:
    if not rows or rows[-1].id < record.id:
        rows.append(record)
    else:
        insort(rows, record, key=by_id)


def _take(rows: list[Record], record: Record) -> None:
    position = bisect_left(rows, record.id, key=by_id)
    if position < len(rows) and rows[position] is record:
        del rows[position]

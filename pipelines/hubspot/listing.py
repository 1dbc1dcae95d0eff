"""A type's list, read by several readers at once, each in its own range of ids.

A cursor can only be followed, so one list alone is as slow as its answers are late:
10,000 pages at 0.3 s are 50 minutes. But HubSpot lists in id order and its cursor is
an id (hubspot_api.md 2.3), so a list may start at any id. One reader starts; once the
list shows itself long, more join, and each takes half of the widest range left.

Cursors are documented as opaque. Nothing is taken on trust: a page that is not in
id order, or a cursor that is no id after the page's last, raises OpaqueList, and the
caller follows the cursors one by one.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

from pipelines.errors import HubsyncError
from pipelines.hubspot.client import HubSpot, decode_json
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.reading import LIST_PAGE, highest_id, list_page
from pipelines.hubspot.records import Page, ids_of

READERS = 6  # 0.3 s an answer: 20 pages/s, all that HubSpot allows
BATCH = 1_000  # records that are handed on at once
BATCHES_AHEAD = 25  # read while the database writes: 60 MB of wide records
_ALONE = 3  # pages that the first reader reads before others join
_WORTH = 6  # pages that must be left in an average range before one is halved
_TRIES = 3
_POLL_SECONDS = 0.2

T = TypeVar("T")
Span = tuple[int, int | None]  # ids in [low, high); None: no end


class OpaqueList(HubsyncError):
    """A list whose cursors or order are not ids: it can only be followed."""


class Spans:
    """Ids still to be read: ranges in ascending order, as text `0-500,900-`."""

    def __init__(self, parts: Iterable[Span] = ((0, None),)) -> None:
        self.parts: list[Span] = list(parts)

    @classmethod
    def parse(cls, text: str | None) -> Spans | None:
        """None where the text is no ranges but an opaque cursor."""
        if text is None:
            return cls()
        parts: list[Span] = []
        for each in text.split(","):
            low, dash, high = each.partition("-")
            if not (dash and low.isdigit() and (high.isdigit() or not high)):
                return None
            parts.append((int(low), int(high) if high else None))
        return cls(parts)

    def __str__(self) -> str:
        return ",".join(
            f"{low}-{'' if high is None else high}" for low, high in self.parts
        )

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __contains__(self, number: int) -> bool:
        return any(
            low <= number and (high is None or number < high)
            for low, high in self.parts
        )

    def remove(self, low: int, high: int | None) -> None:
        left: list[Span] = []
        for start, end in self.parts:
            if (end is not None and end <= low) or (high is not None and start >= high):
                left.append((start, end))
                continue
            if start < low:
                left.append((start, low))
            if high is not None and (end is None or high < end):
                left.append((high, end))
        self.parts = left


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same ids in as few ranges as possible."""
    found: list[Span] = []
    for low, high in sorted(spans, key=lambda span: span[0]):
        if found and (found[-1][1] is None or found[-1][1] >= low):
            before = found[-1][1]
            if before is not None and (high is None or high > before):
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


@dataclass(frozen=True)
class Batch(Generic[T]):
    """All live records that HubSpot has in [low, high), converted."""

    rows: T
    low: int
    high: int | None


@dataclass
class _Range:
    next: int
    high: int | None
    by_cursor: bool = False  # `next` is HubSpot's cursor, not a place that we chose


class Listing(Generic[T]):
    """Reads the live records of `remaining`; batches come in no particular order.

    Stays ahead of its consumer by BATCHES_AHEAD, so that HubSpot is read while the
    database writes; records wait as what `convert` makes of them. `close` ends the
    readers.
    """

    def __init__(
        self,
        client: HubSpot,
        object_type: ObjectType,
        properties: Sequence[str],
        remaining: Spans,
        convert: Callable[[list[Page]], T],
        decode: Callable[[bytes], Any] = decode_json,
    ) -> None:
        self.total: int | None = None  # live records as search counts them, if asked
        self._client = client
        self._type = object_type
        self._properties = properties
        self._convert = convert
        self._decode = decode
        self._waiting = [_Range(low, high) for low, high in reversed(remaining.parts)]
        self._active: list[_Range] = []
        self._queue: Queue[Batch[T] | BaseException | None] = Queue(BATCHES_AHEAD)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._running = 0
        self._pages = 0
        self._seen = 0
        self._top = 0
        self._joined = False
        self._in_vain = 0  # halves that turned out to be empty, a call each

    def batches(self) -> Iterator[Batch[T]]:
        """Batches as they arrive. Raises OpaqueList and what a call raises."""
        if not self._running and self._waiting:
            self._start(min(len(self._waiting), READERS))
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                self.close()
                raise item
            yield item

    def close(self) -> None:
        """End the readers; what they have read ahead is dropped."""
        self._stopped.set()

    # -- readers -----------------------------------------------------------------

    def _start(self, readers: int) -> None:
        with self._lock:
            self._running += readers
        for _ in range(readers):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            while (taken := self._take()) is not None:
                self._read(taken)
        except BaseException as error:
            self._put(error)
        with self._lock:
            self._running -= 1
            last = not self._running
        if last:
            self._put(None)

    def _put(self, item: Batch[T] | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue
            return
        if item is None:  # nobody reads on; but nobody may wait for ever either
            while True:
                try:
                    self._queue.put_nowait(None)
                except Full:
                    try:
                        self._queue.get_nowait()
                    except Empty:
                        continue
                    continue
                return

    def _take(self) -> _Range | None:
        """A range that nobody reads: one that waits, or half of the widest."""
        with self._lock:
            if self._stopped.is_set():
                return None
            taken = self._waiting.pop() if self._waiting else self._half()
            if taken is not None:
                self._active.append(taken)
            return taken

    def _half(self) -> _Range | None:
        if self.total is None or not self._active:
            return None
        pages_left = (self.total - self._seen) / LIST_PAGE
        if pages_left < _WORTH * len(self._active):
            return None
        # Where ids are unevenly spread, a half may hold nothing: a call in vain.
        if self._in_vain > max(1, self.total // LIST_PAGE // 50):
            return None
        widest = max(self._active, key=self._width)
        if self._width(widest) < _WORTH * LIST_PAGE:
            return None
        middle = widest.next + self._width(widest) // 2
        half = _Range(middle, widest.high)
        widest.high = middle
        return half

    def _width(self, each: _Range) -> int:
        high = self._top + 1 if each.high is None else each.high
        return high - each.next

    def _read(self, span: _Range) -> None:
        first = True
        low = span.next
        held: list[Page] = []
        count = 0
        while not self._stopped.is_set():
            asked = span.next
            page, ids, following = self._page(span)
            with self._lock:
                high: int | None = following
                done = following is None
                if span.high is not None and (high is None or high >= span.high):
                    high, done = span.high, True
                begin = bisect_left(ids, asked)
                kept = (len(ids) if high is None else bisect_left(ids, high)) - begin
                if high is not None:
                    span.next, span.by_cursor = high, True
                self._pages += 1
                self._seen += kept
                if first and not kept and self._joined:
                    self._in_vain += 1
                if done:
                    self._active.remove(span)
                joining = not self._joined and not done and self._pages >= _ALONE
                self._joined = self._joined or joining
            first = False
            held.append(page[begin : begin + kept])
            count += kept
            if joining:
                self._join()
            if done or count >= BATCH:
                self._put(Batch(self._convert(held), low, high))
                held, count, low = [], 0, span.next
            if done:
                return

    def _join(self) -> None:
        top, total = highest_id(self._client, self._type)
        with self._lock:
            self._top, self.total = top, total
        self._start(min(READERS - 1, total // LIST_PAGE // _WORTH))

    def _page(self, span: _Range) -> tuple[Page, list[int], int | None]:
        """One page and its ids, checked. A page may be repeated by a fault; a portal
        that lists in another order does so every time."""
        # At a place that we chose, one id earlier: whether the list begins at its
        # cursor or behind it, the chosen id is in it.
        after = span.next if span.by_cursor or not span.next else span.next - 1
        for attempt in range(_TRIES):
            page, following = list_page(
                self._client,
                self._type,
                self._properties,
                after=str(after) if after else None,
                decode=self._decode,
            )
            try:
                ids = [int(each) for each in ids_of(page)]
                ahead = following is None or int(following) > max([after, *ids[-1:]])
            except ValueError:
                continue
            if ahead and all(low < high for low, high in pairwise([after - 1, *ids])):
                return page, ids, None if following is None else int(following)
            time.sleep(0.2 * attempt)
        raise OpaqueList(f"The list of {self._type.name} is not in order of ids.")

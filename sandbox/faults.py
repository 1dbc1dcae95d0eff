"""Faults on demand: at random from a seed, or the next one aimed at a path."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

# What each kind does to a request:
#   a number          that status (5xx with an HTML body, 423, 477 with Retry-After)
#   429_daily …       one of the three 429 bodies
#   reset             connection reset before the request is handled
#   reset_after       handled, and the connection reset instead of an answer
#   timeout           silence for `timeout_seconds`, then the connection closes
#   slow              the right answer after `slow_seconds`
#   truncated         half of the JSON, as if it were all
#   cut               half of the announced body, then the connection closes
#   html              200 with an HTML page
#   wrong_type        the right body as text/plain
#   duplicate         a record of the page before appears again
#   empty_search      a search finds nothing for a moment
#   empty_list        a page of a list has no records and no next page
KINDS = (
    "500",
    "502",
    "503",
    "504",
    "524",
    "423",
    "477",
    "429_ten_secondly",
    "429_secondly",
    "429_daily",
    "reset",
    "reset_after",
    "timeout",
    "slow",
    "truncated",
    "cut",
    "html",
    "wrong_type",
    "duplicate",
    "empty_search",
    "empty_list",
)
# A client can survive these by asking again; the others need care of their own.
TRANSIENT = ("500", "502", "503", "504", "524", "423", "reset", "truncated", "cut")

_ONLY = {
    "duplicate": ("list", "search"),
    "empty_search": ("search",),
    "empty_list": ("list",),
}


@dataclass
class _Aimed:
    kind: str
    path_contains: str
    left: int
    skip: int


class Faults:
    """Random faults with probability `rate`, and aimed ones through `next`.

    `most_in_a_row` bounds random faults on consecutive requests, so that a client
    with a few retries always gets through.
    """

    def __init__(
        self,
        seed: int = 0,
        rate: float = 0.0,
        kinds: list[str] | tuple[str, ...] = TRANSIENT,
        most_in_a_row: int = 2,
        retry_after: int = 1,
        slow_seconds: float = 0.2,
        timeout_seconds: float = 2.0,
    ) -> None:
        for kind in kinds:
            _check(kind)
        self.rate = rate
        self.kinds = tuple(kinds)
        self.most_in_a_row = most_in_a_row
        self.retry_after = retry_after
        self.slow_seconds = slow_seconds
        self.timeout_seconds = timeout_seconds
        self.injected: list[tuple[str, str]] = []  # (kind, path)
        self._random = random.Random(seed)
        self._aimed: list[_Aimed] = []
        self._row = 0
        self._lock = threading.Lock()

    def next(
        self, kind: str | int, path_contains: str = "", times: int = 1, skip: int = 0
    ) -> None:
        """Hit the next `times` requests whose path has the text, after `skip` of them.

        Raises ValueError for an unknown kind; any HTTP status from 400 is one.
        """
        _check(str(kind))
        self._aimed.append(_Aimed(str(kind), path_contains, times, skip))

    def clear(self) -> None:
        self.rate, self._aimed = 0.0, []

    def draw(self, path: str, endpoint: str) -> str | None:
        """The fault for this request, if any."""
        with self._lock:
            kind = self._aim(path, endpoint) or self._roll(endpoint)
            if kind is not None:
                self.injected.append((kind, path))
            return kind

    def _aim(self, path: str, endpoint: str) -> str | None:
        for aimed in self._aimed:
            if aimed.path_contains in path and endpoint in _ONLY.get(
                aimed.kind, (endpoint,)
            ):
                if aimed.skip:
                    aimed.skip -= 1
                    continue
                aimed.left -= 1
                if aimed.left <= 0:
                    self._aimed.remove(aimed)
                return aimed.kind
        return None

    def _roll(self, endpoint: str) -> str | None:
        if not self.rate or not self.kinds:
            return None
        kind = self._random.choice(self.kinds)
        hit = self._random.random() < self.rate
        if hit and self._row < self.most_in_a_row:
            self._row += 1
            return kind if endpoint in _ONLY.get(kind, (endpoint,)) else None
        self._row = 0
        return None


def _check(kind: str) -> None:
    if kind not in KINDS and not (kind.isdigit() and 400 <= int(kind) <= 599):
        raise ValueError(f"unknown fault {kind!r}; one of {', '.join(KINDS)}")

"""Staying below HubSpot's limits instead of running into them (hubspot_api.md 8).

HubSpot counts calls in rolling windows: so many per ten seconds, five searches per
second. A budget counts the same way on our side, in a window that is a little longer,
because calls that we send evenly may arrive bunched. Small syncs can so use their
calls at once, and long ones run at more than nine tenths of what HubSpot allows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class Budget:
    """At most `calls` in any `seconds`, shared by all threads."""

    def __init__(
        self,
        calls: int,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls = max(calls, 1)
        self.seconds = seconds
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self._turns: deque[float] = deque()
        self._not_before = clock()

    def take(self) -> None:
        """Wait for the next call's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._not_before)
            # Those outside the window say nothing. Of a large limit they would be many,
            # and each may keep a page of memory from being given back.
            while self._turns and self._turns[0] + self.seconds <= now:
                self._turns.popleft()
            while len(self._turns) > self.calls:  # the limit was lowered
                self._turns.popleft()
            if len(self._turns) == self.calls:
                turn = max(turn, self._turns.popleft() + self.seconds)
            self._turns.append(turn)
        if turn > now:
            self._sleep(turn - now)

    def pause(self, seconds: float) -> None:
        """No call for `seconds`: HubSpot said 429, or its window is nearly used up."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def set_calls(self, calls: int) -> None:
        """Follow the limit that HubSpot's own headers state."""
        with self._lock:
            self.calls = max(calls, 1)

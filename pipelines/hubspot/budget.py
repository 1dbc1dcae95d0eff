"""Staying below HubSpot's limits instead of running into them (hubspot_api.md 8).

A budget spaces calls evenly with a small burst. In any ten seconds it lets through at
most `burst + 10 * rate` calls, so a rate of 0.95 of the limit with a burst of four
never meets a 429, whatever the latency. A rolling-window counter on our side could
not promise that: the window HubSpot sees is shifted by the network.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Budget:
    """Calls per second, shared by all threads. `burst` calls may go at once."""

    def __init__(
        self,
        per_second: float,
        burst: int = 1,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self._interval = 1.0 / per_second
        self._slack = (burst - 1) * self._interval
        self._burst = burst
        self._next = clock()

    @property
    def per_second(self) -> float:
        return 1.0 / self._interval

    def take(self) -> None:
        """Wait for the next call's turn."""
        with self._lock:
            now = self._clock()
            turn = max(self._next, now - self._slack)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)

    def pause(self, seconds: float) -> None:
        """No call for `seconds`: HubSpot said 429, or its window is nearly used up."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds + self._slack)

    def set_rate(self, per_second: float) -> None:
        """Follow the limit that HubSpot's own headers state."""
        with self._lock:
            self._interval = 1.0 / per_second
            self._slack = (self._burst - 1) * self._interval

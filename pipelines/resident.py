"""`hubsync run`: one process that syncs again and again, and stays warm in between.

Each run is `hubsync sync`, with its lock, its row in `ops.sync_runs`, its alerts and
its report. What is saved is what starting costs: imports, connections, parsing the dbt
project. An error ends its run, never the process: what was wrong at night is right in
the morning.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from pipelines.errors import ConfigurationError
from pipelines.sync import Finished, execute
from pipelines.transform import release

Told = Callable[[Finished | Exception], None]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def parse_interval(text: str) -> timedelta:
    """`90s`, `5m` or `1h`. Raises ConfigurationError for anything else."""
    found = re.fullmatch(r"(\d+)\s*([smh])", text.strip().lower())
    if not found or not int(found[1]):
        raise ConfigurationError(
            f"--every {text!r} is no interval: write 30s, 5m or 1h. Nothing was done."
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def run(
    every: timedelta,
    *,
    target: str | None,
    told: Told,
    stop: threading.Event | None = None,
) -> None:
    """Sync every so often, from start to start, until `stop` or a signal.

    A run that takes longer is followed by the next at once. The first SIGTERM or Ctrl-C
    lets the run in progress end, the second one stops it. Raises ConfigurationError
    where the first run does: a service that never worked should not look alive.
    """
    stop = stop or threading.Event()
    ran = False
    with _stopped_by_signals(stop):
        while not stop.is_set():
            due = time.monotonic() + every.total_seconds()
            try:
                # Telling reads the database as well, which may be gone by then.
                told(_once(target))
            except ConfigurationError as error:
                if not ran:
                    raise
                told(error)
            except Exception as error:  # a dead database too: the next run tries again
                told(error)
            ran = True
            stop.wait(max(0.0, due - time.monotonic()))


def _once(target: str | None) -> Finished:
    try:
        return execute("sync", target=target, quiet=True)
    finally:
        release()


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    def asked(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    for each in before:
        signal.signal(each, asked)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

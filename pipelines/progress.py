"""What a run is doing: alive on a terminal, one line per step anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

_RATE_AFTER = 0.5  # seconds; before that a rate is noise


class Progress:
    """Called as `progress(step, done, total)`; a new step ends the one before it.

    Silent with `quiet`, which `--json` uses: its stdout is JSON alone.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._step: str | None = None
        self._done = 0
        self._begin = 0.0

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stdout.isatty():
            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                console=Console(),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end()
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: str, done: int, total: int | None = None) -> None:
        if self._quiet:
            return
        if step != self._step:
            self._end()
            self._step, self._begin = step, time.monotonic()
            if self._bar is not None:
                self._task = self._bar.add_task(step, total=total, rate="")
        self._done = done
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, rate=self._rate())

    def _rate(self) -> str:
        spent = time.monotonic() - self._begin
        if spent < _RATE_AFTER or not self._done:
            return ""
        return f"{self._done / spent:,.0f}/s"

    def _end(self) -> None:
        """Leave one line behind for the step that ended."""
        if self._step is None:
            return
        seconds = time.monotonic() - self._begin
        count = f"{self._done:,}" if self._done else ""
        line = f"  {self._step:<32} {count:>10}  {seconds:6.1f} s"
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, flush=True)
        self._step, self._task, self._done = None, None, 0

"""What a run is doing: alive on a terminal, one line per step anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
)
from rich.progress import Progress as Bars

from pipelines.log import log, wanted

_SHOWN_SECONDS = 0.05
_RATE_AFTER = 0.5  # seconds; before that a rate is noise


@dataclass
class _Step:
    begin: float
    end: float
    done: int = 0
    total: int | None = None
    task: TaskID | None = None

    def rate(self) -> str:
        spent = self.end - self.begin
        if spent < _RATE_AFTER or not self.done:
            return ""
        return f"{self.done / spent:,.0f}/s"

    def time(self) -> str:
        """How long it will take, at the rate so far; how long it has taken, while
        nobody can know that."""
        spent = self.end - self.begin
        if spent < _RATE_AFTER or not self.done or not self.total:
            return _clock(spent)
        return f"{_clock(max(self.total - self.done, 0) * spent / self.done)} left"

    def count(self) -> str:
        return f"{self.done:,}" + (f" of {self.total:,}" if self.total else "")


class Progress:
    """Called as `progress(step, done, total)`, also from several threads at once.

    On a terminal each step shows what was done of how much, the rate and the time that
    is left, or that it took where the end is not known. Steps may overlap: object types
    are read side by side. `finish` leaves one line behind for each. Silent with
    `quiet`, which `--json` uses; the log is told of each step all the same.
    """

    def __init__(self, *, quiet: bool = False, run_id: str | None = None) -> None:
        self._quiet = quiet
        self._run_id = run_id
        self._unheard = quiet and not wanted()
        self._bars: Bars | None = None
        self._steps: dict[str, _Step] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stdout.isatty():
            self._bars = Bars(
                SpinnerColumn(),
                TextColumn("{task.description:<24}"),
                BarColumn(bar_width=10),  # the line fits into 80 columns
                TextColumn("{task.fields[count]:>17}"),
                TextColumn("{task.fields[rate]:>8}"),
                TextColumn("{task.fields[time]:>11}"),
                console=Console(),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, name: str, done: int, total: int | None = None) -> None:
        if self._unheard:
            return
        now = time.monotonic()
        with self._lock:
            step = self._steps.setdefault(name, _Step(now, now))
            step.done, step.total, step.end = done, total, now
            if self._bars is not None:
                if step.task is None:
                    step.task = self._bars.add_task(
                        name, total=total, count="", rate="", time=""
                    )
                self._bars.update(
                    step.task,
                    completed=done,
                    total=total,
                    count=step.count(),
                    rate=step.rate(),
                    time=step.time(),
                )

    def finish(self) -> None:
        """End every step so far."""
        now = time.monotonic()
        with self._lock:
            for name, step in self._steps.items():
                if len(self._steps) == 1:
                    step.end = now  # alone, it lasted until now
                count = f"{step.done:,}" if step.done else ""
                spent = step.end - step.begin
                if not step.done and spent < _SHOWN_SECONDS:
                    self._close(step)
                    continue  # it has nothing to say
                log(
                    "step",
                    run_id=self._run_id,
                    step=name,
                    done=step.done,
                    seconds=round(spent, 3),
                )
                seconds = f"{spent:6.1f} s" if spent >= _SHOWN_SECONDS else ""
                line = f"  {name:<24} {count:>9} {step.rate():>9} {seconds}".rstrip()
                self._close(step)
                if self._quiet:
                    continue
                if self._bars is not None:
                    self._bars.console.print(line, highlight=False, markup=False)
                else:
                    print(line, flush=True)
            self._steps.clear()

    def _close(self, step: _Step) -> None:
        if self._bars is not None and step.task is not None:
            self._bars.remove_task(step.task)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

"""What a run says while it works: alive on a terminal, a line per step elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines import progress
from pipelines.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, as the progress sees them: `clock[0]`."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_step_count_rate_and_time_left(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "Console", lambda: console)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with Progress() as running:
        running("contacts", 0, 20_000)
        clock[0] += 10
        running("contacts", 5_000, 20_000)
        assert running._bars is not None
        running._bars.refresh()
        shown = screen.getvalue()
    for text in ("contacts", "5,000 of 20,000", "500/s", "0:30 left"):
        assert text in shown


def test_no_time_left_is_told_while_nobody_can_know_it() -> None:
    step = progress._Step(100.0, 100.1, done=10, total=1000)
    assert (step.rate(), step.time()) == ("", "0:00")  # too soon
    assert progress._Step(100.0, 110.0, done=10).time() == "0:10"  # of how much?
    assert progress._Step(0.0, 3600.0, done=1, total=3).time() == "2:00:00 left"


def test_a_pipe_gets_one_line_per_step(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as running:
        running("contacts", 100, 20_000)
        running("deals", 1, None)
        clock[0] += 10
        running("contacts", 20_000, 20_000)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["contacts", "deals"]
    assert lines[0].split() == ["contacts", "20,000", "2,000/s", "10.0", "s"]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as running:
        running("contacts", 100, 200)
    assert capsys.readouterr().out == ""


def test_transforming_and_publishing_are_two_steps_that_count_from_one() -> None:
    from types import SimpleNamespace as Event

    from pipelines.transform import _NodeProgress

    told: list[tuple[str, int, int | None]] = []
    for step, total in (("transforming and testing", 2), ("publishing", 1)):
        nodes = _NodeProgress(lambda *each: told.append(each), step)
        for _ in range(total):
            line = Event(info=Event(name="LogStartLine"), data=Event(total=total))
            nodes(line)
    assert told == [
        ("transforming and testing", 1, 2),
        ("transforming and testing", 2, 2),
        ("publishing", 1, 1),
    ]

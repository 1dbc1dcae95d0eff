"""One process that syncs again and again, and what it survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from unittest.mock import Mock

import pytest

from pipelines.errors import ConfigurationError, HubsyncError, PortalUnavailable
from pipelines.resident import parse_interval, run
from pipelines.sync import Finished
from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import ON_DUCKDB, query
from tests.run.test_decisions import churn, enabled, with_access

SOON = timedelta(milliseconds=1)


def test_runs_follow_each_other_and_errors_end_only_their_run(
    synced: Warehouse, portal: Portal, failing_fast: None
) -> None:
    first, second = with_access(synced)[:2]
    stop = threading.Event()
    told: list[Finished | Exception] = []

    def next_step(outcome: Finished | Exception) -> None:
        told.append(outcome)
        if len(told) == 1:
            churn(portal, [first])
        elif len(told) == 2:
            assert first not in enabled(synced)
            portal.faults.next("500", path_contains="contacts/search", times=2)
        elif len(told) == 3:
            churn(portal, [second])
            if synced.target == "postgres":
                query(
                    synced,
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid() "
                    "and backend_type = 'client backend'",
                )
            else:  # nobody else could open the file if this process kept it
                code = f"import duckdb; duckdb.connect({str(synced.path)!r})"
                subprocess.run([sys.executable, "-c", code], check=True)
        else:
            stop.set()

    run(SOON, target=None, told=next_step, stop=stop)
    assert len(told) == 4
    assert isinstance(told[2], PortalUnavailable)
    assert not enabled(synced) & {first, second}
    statuses = query(synced, "select status from ops.sync_runs order by started_at")
    assert [row[0] for row in statuses] == ["done", "done", "done", "failed", "done"]


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end at once, where it is not about what a run does."""
    found = Mock(spec=Finished)
    monkeypatch.setattr("pipelines.resident.execute", lambda *_, **__: found)


@pytest.mark.usefixtures("no_work")
def test_a_result_that_cannot_be_told_ends_only_its_run() -> None:
    stop = threading.Event()
    told: list[Finished | Exception] = []

    def gone_meanwhile(outcome: Finished | Exception) -> None:
        told.append(outcome)
        if len(told) == 1:
            raise HubsyncError("the database is gone")
        if len(told) == 3:
            stop.set()

    run(SOON, target=None, told=gone_meanwhile, stop=stop)
    assert [isinstance(each, HubsyncError) for each in told] == [False, True, False]


@pytest.mark.usefixtures("no_work")
def test_a_signal_lets_the_run_in_progress_end_and_starts_no_other() -> None:
    before = signal.getsignal(signal.SIGTERM)
    told: list[Finished | Exception] = []

    def stopped(outcome: Finished | Exception) -> None:
        told.append(outcome)
        os.kill(os.getpid(), signal.SIGTERM)

    run(timedelta(hours=1), target=None, told=stopped)
    assert len(told) == 1
    assert signal.getsignal(signal.SIGTERM) is before


@ON_DUCKDB
def test_a_service_that_never_worked_ends_with_what_is_wrong(
    synced: Warehouse, server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "wrong")
    with pytest.raises(ConfigurationError):
        run(SOON, target=None, told=lambda _: None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("2m", 120), ("1 h", 3600), ("90S", 90)]
)
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_interval(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "0s", "-1m", "1d", "soon"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write 30s, 5m or 1h"):
        parse_interval(text)

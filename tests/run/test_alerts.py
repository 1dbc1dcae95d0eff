"""Whoever watches is told of each change of state once, and of nothing twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipelines import alerts
from pipelines.errors import AlreadyRunning, ConsistencyError, PortalUnavailable
from pipelines.warehouse import Warehouse
from tests.run.conftest import ON_DUCKDB, Hubsync, query


class Receiver:
    """A webhook: what it took, and the status it answers with."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.told.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T0/SECRET"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def states(self) -> list[str]:
        return [message["state"] for message in self.told]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv("HUBSYNC_ALERT_URL", made.url)
    yield made
    made.close()


def failing(warehouse: Warehouse, error: Exception) -> list[str]:
    """A sync that ends in that error; what it says besides."""
    with suppress(type(error)), alerts.watched(warehouse):
        raise error
    return getattr(error, "__notes__", [])


def working(warehouse: Warehouse, plan_id: str | None = None, held: int = 0) -> Any:
    """A sync that publishes and leaves a set waiting."""
    with alerts.watched(warehouse) as watch:
        row = {"plan_id": plan_id, "hold_reason": "FIRST_RUN", "name": "Acme Inc."}
        watch.waiting = [row] * held
    return watch.notes


def test_each_state_is_told_once_until_it_is_over(
    synced: Warehouse, receiver: Receiver
) -> None:
    working(synced)
    assert receiver.told == []
    for run in range(50):
        error = ConsistencyError if run % 2 else PortalUnavailable
        failing(synced, error("Acme Inc. of ann@example.com"))
    assert receiver.states == ["failed"]
    assert receiver.told[0]["exit_code"] == 1
    failing(synced, AlreadyRunning("another"))
    working(synced)
    working(synced)
    assert receiver.states == ["failed", "recovered"]

    for plan_id in ("a", "a", "b", "b"):
        working(synced, plan_id, held=60)
    failing(synced, KeyError("unknown"))
    working(synced, "b", held=60)
    working(synced)
    working(synced)
    assert receiver.states[2:] == ["held", "held", "failed", "recovered", "recovered"]
    text = receiver.told[3]["text"]
    assert "60 changes wait for a person (60 FIRST_RUN)" in text
    assert "hubsync approve b --by NAME --reason TEXT" in text
    assert receiver.told[3]["next"][0] == "hubsync plan"
    assert "No change of access waits" in receiver.told[-1]["text"]
    everything = json.dumps(receiver.told)
    assert "Acme" not in everything
    assert "ann@example.com" not in everything


@ON_DUCKDB
def test_an_alert_that_was_not_taken_fails_nothing_and_is_sent_again(
    synced: Warehouse, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.status = 500
    [note] = failing(synced, PortalUnavailable("down"))
    assert "the webhook answered 500. The next run tries again" in note
    receiver.status = 200
    assert failing(synced, PortalUnavailable("down")) == []
    assert receiver.states == ["failed"]
    monkeypatch.setenv("HUBSYNC_ALERT_URL", "http://127.0.0.1:9/services/SECRET")
    [note] = working(synced)
    assert "did not answer" in note
    assert "SECRET" not in note
    monkeypatch.setenv("HUBSYNC_ALERT_URL", receiver.url)
    assert working(synced) == []
    assert receiver.states == ["failed", "recovered"]

    monkeypatch.setenv("HUBSYNC_ALERT_URL", "hooks.example.com/SECRET")
    [note] = failing(synced, PortalUnavailable("down"))
    assert "does not begin with https://" in note
    monkeypatch.delenv("HUBSYNC_ALERT_URL")
    assert failing(synced, PortalUnavailable("down")) == []


@ON_DUCKDB
def test_a_database_out_of_reach_sends_nothing_and_hides_no_error(
    warehouse: Warehouse, receiver: Receiver
) -> None:
    assert failing(warehouse, PortalUnavailable("down")) == []
    assert not warehouse.path or not warehouse.path.exists()
    assert warehouse.path is not None
    warehouse.path.write_text("no database")
    [note] = failing(warehouse, PortalUnavailable("down"))
    assert note.startswith("No alert was sent")
    assert receiver.told == []


def test_the_commands_tell_stale_failed_and_recovered(
    synced: Warehouse,
    receiver: Receiver,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert hubsync("status").code == 0
    for _ in range(2):
        assert hubsync("status", "--stale-after", "0.000001").code == 1
    assert receiver.states == ["stale"]
    assert "Look at hubsync status" in receiver.told[0]["text"]
    with monkeypatch.context() as patch:
        patch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat-na1-wrong")
        for command in ("plan", "sync", "sync"):
            assert hubsync(command).code == 2
    assert receiver.states == ["stale", "failed"]
    assert "its configuration is wrong" in receiver.told[1]["text"]
    assert hubsync("sync").code == 0
    assert receiver.states == ["stale", "failed", "recovered"]
    assert receiver.told[2]["recovered"] == ["failed", "stale"]
    open_ones = "select state from ops.alerts where recovered_at is null"
    assert query(synced, open_ones) == []

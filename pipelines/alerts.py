"""One message per change of state, never one per run: held, failed, stale, recovered.

A webhook of the form that Slack takes, `{"text": …}`, with the same as fields for other
receivers. `HUBSYNC_ALERT_URL`, or `alert_url` under `[hubsync]` in `.dlt/secrets.toml`
or `.dlt/config.toml`, says where; without it nothing is sent.

What the receiver has been told is in `ops.alerts`, written when it took the message;
one that it did not take is sent again by the next run. While the database cannot be
reached nothing can be known to be new, so nothing is sent: the exit code says it, and
whatever watches that database. No message has a customer, a person or a secret in it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import dlt
import requests

from pipelines import ops
from pipelines.errors import AlreadyRunning
from pipelines.warehouse import Warehouse

_SECONDS = 5  # a sync does not wait longer for a chat program

_FAILURES = {
    1: "it could not be finished",
    2: "its configuration is wrong",
    4: "a consistency test failed",
}


@dataclass
class Watch:
    """What a sync found, for its alerts; `notes` are sentences for its reader."""

    run_id: str | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@contextmanager
def watched(warehouse: Warehouse) -> Iterator[Watch]:
    """Tell what became of the sync inside. The caller holds the lock.

    Raises what the sync raises and nothing of its own: an alert that cannot be sent is
    a note, of the error where there is one.
    """
    watch = Watch()
    try:
        yield watch
    except Exception as error:
        code = getattr(error, "exit_code", 1)
        if not isinstance(error, AlreadyRunning):
            for note in _tell(warehouse, [_failed(watch, code)], {}):
                error.add_note(note)
        raise
    message, still_held = _held(watch)
    ended = {"failed": "A sync has published again.", "stale": "app is fresh again."}
    if not still_held:
        ended["held"] = "No change of access waits for a person any more."
    watch.notes += _tell(warehouse, [message] if message else [], ended)


def tell_stale(warehouse: Warehouse, sentence: str) -> list[str]:
    """That `app` is too old, unless that is known; notes for the reader.

    Beside a sync nothing is sent: it may be about to end it.
    """
    text = f"hubsync: {sentence} Look at hubsync status, then run hubsync sync."
    message = {"state": "stale", "text": text, "next": ["hubsync status"]}
    if _url() is None or not warehouse.holds("ops", "sync_runs"):
        return []
    try:
        with warehouse.lock():
            return _tell(warehouse, [message], {})
    except AlreadyRunning:
        return []


def _failed(watch: Watch, code: int) -> dict[str, Any]:
    why = _FAILURES.get(code, _FAILURES[1])
    return {
        "state": "failed",
        "text": f"hubsync: a sync failed with exit code {code}, {why}. This is said "
        "once, until a sync publishes again. Look at hubsync status.",
        "exit_code": code,
        "run_id": watch.run_id,
        "next": ["hubsync status"],
    }


def _held(watch: Watch) -> tuple[dict[str, Any] | None, bool]:
    if not watch.waiting:
        return None, False
    plan_id = str(watch.waiting[0]["plan_id"])
    reasons = Counter(str(row["hold_reason"]) for row in watch.waiting)
    counted = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    decide = [
        f"hubsync {word} {plan_id} --by NAME --reason TEXT"
        for word in ("approve", "reject")
    ]
    message = {
        "state": "held",
        "text": f"hubsync: {len(watch.waiting)} changes wait for a person ({counted}); "
        "everything else is published. Look at hubsync plan, then "
        f"{decide[0]} or {decide[1]}",
        "plan_id": plan_id,
        "changes": len(watch.waiting),
        "reasons": dict(reasons),
        "run_id": watch.run_id,
        "next": ["hubsync plan", *decide],
    }
    return message, True


def _tell(
    warehouse: Warehouse, messages: list[dict[str, Any]], ended: dict[str, str]
) -> list[str]:
    """Send those messages whose state is new, and the end of what has been told."""
    url = _url()
    if url is None:
        return []
    try:
        if not warehouse.holds("ops", "sync_runs"):
            return []
        with warehouse.connect() as connection:
            ops.create_tables(connection)
        told = {
            str(row["state"]): row["plan_id"]
            for row in ops.rows(
                warehouse,
                "select state, plan_id from ops.alerts where recovered_at is null",
            )
        }
        for message in messages:
            state, plan_id = message["state"], message.get("plan_id")
            if state not in told or told[state] != plan_id:
                _send(url, message)
                _remember(warehouse, state, plan_id, message.get("run_id"))
        over = [state for state in ended if state in told]
        if over:
            text = "hubsync: " + " ".join(ended[state] for state in over)
            _send(url, {"state": "recovered", "text": text, "recovered": over})
            _forget(warehouse, over)
    except Undelivered as error:
        return [f"An alert could not be sent: {error}. The next run tries again."]
    except Exception as error:
        return [
            "No alert was sent: what has been told could not be read or written "
            f"({type(error).__name__})."
        ]
    return []


class Undelivered(Exception):
    """Why the receiver did not take a message; never its address, which is a secret."""


def _send(url: str, message: dict[str, Any]) -> None:
    body = {**message, "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    if urlsplit(url).scheme not in ("http", "https"):
        raise Undelivered("HUBSYNC_ALERT_URL does not begin with https:// or http://")
    try:
        answer = requests.post(
            url, json=body, timeout=_SECONDS, allow_redirects=False, stream=True
        )
        answer.close()
    except (requests.RequestException, ValueError) as error:
        raise Undelivered(
            f"the webhook did not answer ({type(error).__name__})"
        ) from None
    if answer.status_code >= 300:
        raise Undelivered(f"the webhook answered {answer.status_code}")


def _remember(
    warehouse: Warehouse, state: str, plan_id: str | None, run_id: str | None
) -> None:
    _forget(warehouse, [state])  # another set has taken the place of the one before
    with warehouse.connect() as connection:
        connection.execute(
            "insert into ops.alerts values (?, ?, ?, ?, null)",
            (state, plan_id, run_id, datetime.now(UTC)),
        )


def _forget(warehouse: Warehouse, states: list[str]) -> None:
    with warehouse.connect() as connection:
        for state in states:
            connection.execute(
                "update ops.alerts set recovered_at = ? "
                "where state = ? and recovered_at is null",
                (datetime.now(UTC), state),
            )


def _url() -> str | None:
    given = os.environ.get("HUBSYNC_ALERT_URL")
    for source in (dlt.secrets, dlt.config):
        given = given or source.get("hubsync.alert_url")
    return str(given).strip() or None if given else None

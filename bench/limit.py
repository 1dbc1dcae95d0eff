"""A first load beside what HubSpot's own limit allows, and beside a COPY by hand.

With the limiter on, the portal refuses what HubSpot would refuse: more than 190 calls
in ten seconds. The least that a load can take is the time of its lists at that rate, a
hundred records a call; links have a limit of their own and are read beside them.
Off, the pages that it reads are also decoded and copied by hand: one process that
writes them as text into a table of PostgreSQL, with no key, no state and no second run.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.machine import Measured, databases, measured, sync, workplace
from bench.portal import FILLED, TOKEN, Served, portal
from bench.results import report, table

CALLS, SECONDS, RECORDS = 190, 10.0, 100  # HubSpot: calls in seconds, records a call
LOAD = ("definitions", "read and load", "associations", "archive")
SAMPLE = 200_000  # contacts that are copied by hand; its speed is the same for more
PAGES = 10  # that the hand gives to one COPY
SEPARATOR = "\x1f"  # no value holds it, so that none has to be escaped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contacts", type=int, default=50_000)
    parser.add_argument("--engines", default="duckdb,postgres")
    parser.add_argument(
        "--only", choices=["limited", "unlimited"], help="one of the two halves"
    )


def run(given: argparse.Namespace, page: Path | None) -> None:
    engines = given.engines.split(",")
    rows: list[list[str]] = []
    with portal("wide", given.contacts) as served:
        if given.only != "unlimited":
            for engine in engines:
                done, refused = _limited_sync(engine, served)
                rows.append(_beside_the_limit(engine, given.contacts, done, refused))
                print(rows[-1], flush=True)
        limited = list(rows)
        rows = []
        if given.only != "limited":
            by_hand = _by_hand(served)
            for engine in engines:
                done = _unlimited_load(engine, served)
                rows.append(_beside_the_hand(engine, given.contacts, done, by_hand))
                print(rows[-1], flush=True)
    size = f"First load of {given.contacts:,} contacts with {FILLED} values each"
    if limited:
        header = [
            *("limiter on", "HubSpot's limit", "load", "ratio", "whole sync", "ratio"),
            *("refused", "peak MB"),
        ]
        report("limit", f"{size}.\n\n{table(header, limited)}", page)
    if rows:
        header = [
            *("limiter off", "records/s", "by hand", "ratio"),
            *("CPU ratio", "peak MB"),
        ]
        report("by hand", f"{size}.\n\n{table(header, rows)}", page)


def _limited_sync(engine: str, served: Served) -> tuple[Measured, int]:
    """A whole first sync, and how many of its calls the portal refused."""
    served.ask("_sandbox/limits", {"enabled": True})
    with (
        databases([engine]) as at,
        workplace(engine, at[engine], served.url, TOKEN) as environment,
    ):
        environment["SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS"] = str(CALLS)
        for name in ("SEARCHES_PER_SECOND", "ASSOCIATIONS_PER_TEN_SECONDS"):
            del environment[f"SOURCES__HUBSPOT__{name}"]
        done = sync(environment)
    _say(engine, done, f"{done.steps}; calls {done.said['calls']}")
    refused = served.ask("_sandbox/limits", {"enabled": False})["refused"]
    return done, int(refused)


def _unlimited_load(engine: str, served: Served) -> Measured:
    """The load alone: what the copy by hand does not do either is not in it."""
    with (
        databases([engine]) as at,
        workplace(engine, at[engine], served.url, TOKEN) as environment,
    ):
        command = [sys.executable, "-m", "bench.load", "--step", "load"]
        done = measured(command, environment)
    _say(engine, done, str(done.said))
    return done


def _say(engine: str, done: Measured, more: str) -> None:
    print(
        f"{engine}: {done.seconds:.1f} s, {done.cpu:.1f} s CPU, the server's "
        f"{done.server_cpu:.1f}, {done.peak_mb:,.0f} MB; {more}",
        flush=True,
    )


def _load_seconds(done: Measured) -> float:
    return sum(done.steps.get(step, 0.0) for step in LOAD)


def _beside_the_limit(
    engine: str, contacts: int, done: Measured, refused: int
) -> list[str]:
    least, loading = contacts / RECORDS / CALLS * SECONDS, _load_seconds(done)
    return [
        *(engine, f"{least:.0f}", f"{loading:.0f}", f"{loading / least:.2f}"),
        *(f"{done.seconds:.0f}", f"{done.seconds / least:.2f}"),
        *(str(refused), f"{done.peak_mb:,.0f}"),
    ]


def _beside_the_hand(
    engine: str, contacts: int, done: Measured, by_hand: dict[str, Any]
) -> list[str]:
    speed = contacts / done.said["seconds"]
    hand = by_hand["rows"] / by_hand["seconds"]
    cpu = (done.said["cpu"] + done.server_cpu) / contacts
    hands_cpu = (by_hand["cpu"] + by_hand["server_cpu"]) / by_hand["rows"]
    return [
        *(engine, f"{speed:,.0f}", f"{hand:,.0f}", f"{speed / hand:.2f}"),
        *(f"{hands_cpu / cpu:.2f}", f"{done.peak_mb:,.0f}"),
    ]


def _by_hand(served: Served) -> dict[str, Any]:
    """The pages as the load reads them, fetched first; then a process that copies."""
    with tempfile.TemporaryDirectory(prefix="hubsync-bench-") as folder:
        file = Path(folder) / "pages"
        _fetch(served, file)
        with databases(["postgres"]) as at:
            environment = {**os.environ, **at["postgres"]}
            command = [sys.executable, "-m", "bench.limit", str(file)]
            done = measured(command, environment)
    result = {**done.said, "server_cpu": done.server_cpu}
    print(f"by hand: {result}", flush=True)
    return result


def _fetch(served: Served, file: Path) -> None:
    import orjson

    url = f"{served.url}/crm/v3/objects/contacts"
    after = "0"
    with file.open("wb") as pages:
        for _ in range(SAMPLE // RECORDS):
            params = {"limit": str(RECORDS), "after": after}
            body = served.session.get(url, params=params).content
            pages.write(len(body).to_bytes(4, "big") + body)
            following = orjson.loads(body).get("paging")
            if following is None:
                return
            after = following["next"]["after"]


def _copy(file: Path) -> dict[str, Any]:
    """Decode each page and copy it, by hand; what it took, all imports aside."""
    import orjson
    import psycopg2

    with file.open("rb") as pages, psycopg2.connect("") as connection:
        cursor = connection.cursor()
        start, used, rows = time.perf_counter(), time.process_time(), 0
        names: list[str] = []
        held: list[str] = []
        while size := pages.read(4):
            records = orjson.loads(pages.read(int.from_bytes(size, "big")))["results"]
            if not names:
                names = list(records[0]["properties"])
                columns = ", ".join(f'"{name}" text' for name in ("id", *names))
                cursor.execute(f"create table by_hand ({columns})")
            for record in records:
                values = record["properties"]
                cells = [record["id"], *[values[name] for name in names]]
                held.append(SEPARATOR.join(["\\N" if c is None else c for c in cells]))
            rows += len(records)
            if len(held) >= PAGES * RECORDS:
                _send(cursor, held)
                held = []
        if held:
            _send(cursor, held)
        connection.commit()
        return {
            "rows": rows,
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - used,
        }


def _send(cursor: Any, lines: list[str]) -> None:
    text = io.StringIO("\n".join(lines) + "\n")
    cursor.copy_expert(f"copy by_hand from stdin delimiter E'{SEPARATOR}'", text)


if __name__ == "__main__":
    print(json.dumps(_copy(Path(sys.argv[1]))))

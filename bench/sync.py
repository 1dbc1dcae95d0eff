"""What an ordinary sync costs, and how soon a churn is a revocation.

Cold is `hubsync sync` on a portal where nothing changed, a process from its start to
its end, beside the least that dlt and dbt need: a process that imports both, one empty
run of dlt and one of dbt, all measured in turn. Warm is a run of `hubsync run`. Churns
are written to the portal at random moments while it runs; each is over when the run
that revoked has published.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import (
    HUBSYNC,
    ROOT,
    Measured,
    cpu_seconds,
    databases,
    measured,
    sync,
    workplace,
)
from bench.portal import TOKEN, Served, portal
from bench.results import report, table

BASELINES = ("import", "dlt", "dbt")
SPACING = 2.0  # seconds from churn to churn, on average
PATIENCE = 300.0  # seconds without a run before the resident process counts as stuck


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contacts", type=int, default=10_000)
    # Over 2,000 enabled customers: a hundred churns stay under the breaker's 5 % a day.
    parser.add_argument("--companies", type=int, default=4_000)
    parser.add_argument("--engines", default="duckdb,postgres")
    parser.add_argument("--churns", type=int, default=100)
    parser.add_argument("--every", default="5s", metavar="TIME")
    parser.add_argument("--repeat", type=int, default=3, help="cold syncs, in turn")
    parser.add_argument("--warm", type=int, default=5, help="resident runs, unchanged")


def run(given: argparse.Namespace, page: Path | None) -> None:
    steps: list[list[str]] = []
    times: list[list[str]] = []
    churns: list[list[str]] = []
    for engine in given.engines.split(","):
        with (
            portal("example", given.contacts, given.companies) as served,
            databases([engine]) as at,
            workplace(engine, at[engine], served.url, TOKEN) as environment,
        ):
            _say(engine, "first load", sync(environment))
            cold, least = _cold(engine, environment, given.repeat)
            warm, latencies = _resident(served, environment, given)
            steps += _steps(engine, cold, warm)
            times += _times(engine, cold, least, warm)
            churns.append(_churns(engine, given.churns, latencies))
    size = f"{given.contacts:,} contacts, {given.companies:,} companies, no change."
    report(
        "sync",
        "\n\n".join(
            [
                f"{size} Medians of {given.repeat} cold and {given.warm} warm runs.",
                table(
                    [
                        *("", "seconds", "import", "empty dlt", "empty dbt"),
                        *("to their sum", "CPU to theirs", "peak MB"),
                    ],
                    times,
                ),
                table(["seconds of a step", *_step_names(steps)], _filled(steps)),
                f"From the churn in HubSpot to the published revocation, `hubsync run "
                f"--every {given.every}`:",
                table(["", "churns", "revoked", "p50 s", "p95 s", "longest"], churns),
            ]
        ),
        page,
    )


def _say(engine: str, what: str, one: Measured) -> None:
    print(
        f"{engine}: {what}: {one.seconds:.2f} s, {one.cpu:.2f} s CPU, "
        f"{one.peak_mb:,.0f} MB; {one.steps}",
        flush=True,
    )


# -- cold ------------------------------------------------------------------------------


def _cold(
    engine: str, environment: dict[str, str], repeat: int
) -> tuple[list[Measured], dict[str, list[Measured]]]:
    """Cold syncs and what they are compared with, in turn: the machine's other work
    disturbs both. The first turn warms the caches of both and does not count."""
    cold: list[Measured] = []
    least: dict[str, list[Measured]] = {name: [] for name in BASELINES}
    for turn in range(repeat + 1):
        for name in BASELINES:
            command = [sys.executable, "-m", "bench.sync", name]
            one = measured(command, environment)
            if name != "import":  # what they import has been counted
                one.seconds, one.cpu = one.said["seconds"], one.said["cpu"]
            if turn:
                least[name].append(one)
                _say(engine, f"empty {name}", one)
        one = sync(environment)
        if turn:
            cold.append(one)
            _say(engine, "cold", one)
    return cold, least


def _baseline(name: str) -> dict[str, Any]:
    """In a process of its own: import both; and, with them imported, an empty run."""
    import dlt
    from dbt.cli.main import dbtRunner

    from pipelines.warehouse import Warehouse

    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "dbt_project.yml"
        project.write_text(
            "name: empty\nversion: '1.0'\nprofile: hubsync\n"
            "flags: {send_anonymous_usage_stats: false}\n"
        )
        start, used = time.perf_counter(), time.process_time()
        if name == "dlt":
            pipeline = dlt.pipeline(
                "empty",
                destination=Warehouse.from_environment().destination(),
                dataset_name="bench_empty",
                pipelines_dir=folder,
            )
            pipeline.run([], table_name="nothing")
        if name == "dbt":
            target = os.environ["DBT_TARGET_PATH"] + "-of-nothing"
            arguments = [
                *("run", "--project-dir", folder, "--profiles-dir", str(ROOT)),
                *("--target", os.environ["HUBSYNC_TARGET"], "--target-path", target),
                *("--log-path", target, "--log-level-file", "none", "--quiet"),
            ]
            if not dbtRunner().invoke(arguments).success:
                raise SystemExit("the empty dbt project did not run")
        return {
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - used,
        }


# -- resident --------------------------------------------------------------------------


class Resident:
    """`hubsync run` as a process: its runs as they end, and when each began."""

    def __init__(self, environment: dict[str, str], every: str) -> None:
        self.runs: list[dict[str, Any]] = []
        self.revoked: dict[str, str] = {}  # customer: run that revoked
        self._began: dict[str, datetime] = {}
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [HUBSYNC, "run", "--every", every, "--json"],
            env={**environment, "HUBSYNC_LOG": "json"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for follow in (self._follow_log, self._follow_runs):
            threading.Thread(target=follow, daemon=True).start()

    def _follow_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("{") and '"started"' in line:
                event = json.loads(line)
                if event["event"] == "started":
                    self._began[event["run_id"]] = datetime.fromisoformat(event["at"])
            elif not line.startswith("{"):
                print(line, end="", file=sys.stderr)

    def _follow_runs(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            done = json.loads(line)
            if "run_id" in done:
                spent = datetime.now(UTC) - self._began[done["run_id"]]
                done["whole"] = spent.total_seconds()
                done["used"] = cpu_seconds(self._process.pid)
                print(
                    f"  resident: {done['whole']:.1f} s; {done['seconds']}", flush=True
                )
            else:  # a run that failed; the next one tries again
                print(done, file=sys.stderr)
                continue
            with self._news:
                self.runs.append(done)
                for change in done.get("changes", []):
                    if not change["to_enabled"]:
                        self.revoked[change["customer_id"]] = done["run_id"]
                self._news.notify_all()

    def wait(self, runs: int) -> None:
        """Until so many runs have ended since it began."""
        with self._news:
            while len(self.runs) < runs:
                if not self._news.wait(PATIENCE):
                    raise SystemExit("hubsync run did nothing for minutes")

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)


@contextmanager
def _running(environment: dict[str, str], every: str) -> Iterator[Resident]:
    resident = Resident(environment, every)
    try:
        yield resident
    finally:
        resident.stop()


def _resident(
    served: Served, environment: dict[str, str], given: argparse.Namespace
) -> tuple[list[Measured], dict[str, float | None]]:
    """Runs that nothing changed; then per churn the seconds until it was published,
    None for one that did not revoke."""
    enabled = _asked(
        environment,
        "select customer_id from app.access where is_enabled "
        "and reason_code = 'SUBSCRIPTION_ACTIVE' order by customer_id",
    )
    chosen = random.Random(1)
    churning = chosen.sample([str(row[0]) for row in enabled], given.churns)
    written: dict[str, float] = {}
    with _running(environment, given.every) as resident:
        resident.wait(1 + given.warm)
        warm = [
            Measured(
                one["whole"], one["used"] - before["used"], 0.0, resident.peak_mb(), one
            )
            for before, one in pairwise(resident.runs[: 1 + given.warm])
        ]
        for company in churning:
            time.sleep(chosen.expovariate(1 / SPACING))
            served.update("companies", [company], {"customer_status": "churned"})
            written[company] = time.time()
        last = len(resident.runs)
        while not resident.revoked.keys() >= set(churning):
            resident.wait(len(resident.runs) + 1)
            if len(resident.runs) > last + 5:
                break  # what has not been revoked by now will not be
        revoked = dict(resident.revoked)
    published = dict(
        _asked(
            environment,
            "select run_id, extract(epoch from published_at) from ops.sync_runs",
        )
    )
    return warm, {
        company: float(published[revoked[company]]) - at if company in revoked else None
        for company, at in written.items()
    }


def _asked(environment: dict[str, str], sql: str) -> list[tuple[Any, ...]]:
    """Rows of the database, read by a process of its own (machine.py says why)."""
    command = [sys.executable, "-m", "bench.sync", "--sql", sql]
    rows = measured(command, environment).said["rows"]
    return [tuple(row) for row in rows]


# -- tables ----------------------------------------------------------------------------


def _times(
    engine: str,
    cold: list[Measured],
    least: dict[str, list[Measured]],
    warm: list[Measured],
) -> list[list[str]]:
    parts = [median(one.seconds for one in least[name]) for name in BASELINES]
    cpu = sum(median(one.cpu for one in least[name]) for name in BASELINES)
    seconds = median(one.seconds for one in cold)
    return [
        [
            *(f"{engine}, cold", f"{seconds:.1f}", *(f"{one:.2f}" for one in parts)),
            f"{seconds / sum(parts):.2f}",
            f"{median(one.cpu for one in cold) / cpu:.2f}",
            f"{max(one.peak_mb for one in cold):,.0f}",
        ],
        [
            *(f"{engine}, resident", f"{median(one.seconds for one in warm):.1f}"),
            *("", "", "", f"{median(one.seconds for one in warm) / sum(parts):.2f}"),
            f"{median(one.cpu for one in warm) / cpu:.2f}",
            f"{max(one.peak_mb for one in warm):,.0f}",
        ],
    ]


def _steps(engine: str, cold: list[Measured], warm: list[Measured]) -> list[list[str]]:
    return [
        [f"{engine}, {what}", json.dumps(_median_steps(runs))]
        for what, runs in (("cold", cold), ("resident", warm))
    ]


def _median_steps(runs: list[Measured]) -> dict[str, float]:
    names = dict.fromkeys(step for one in runs for step in one.steps)
    found = {n: median(one.steps.get(n, 0.0) for one in runs) for n in names}
    outside = median(one.seconds - sum(one.steps.values()) for one in runs)
    return {**found, "outside of them": outside}


def _step_names(rows: list[list[str]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in json.loads(row[1])))


def _filled(rows: list[list[str]]) -> list[list[str]]:
    return [
        [row[0], *(f"{json.loads(row[1]).get(n, 0.0):.2f}" for n in _step_names(rows))]
        for row in rows
    ]


def _churns(engine: str, wanted: int, latencies: dict[str, float | None]) -> list[str]:
    known = sorted(one for one in latencies.values() if one is not None)
    at = [min(len(known) - 1, int(len(known) * q)) for q in (0.5, 0.95, 1.0)]
    shown = [f"{known[one]:.1f}" if known else "" for one in at]
    return [engine, str(wanted), str(len(known)), *shown]


def _main(arguments: list[str]) -> None:
    if arguments[0] == "--sql":
        from pipelines.warehouse import Warehouse

        with Warehouse.from_environment().connect() as connection:
            rows = connection.execute(arguments[1])
        print(json.dumps({"rows": [list(map(str, row)) for row in rows]}))
    else:
        print(json.dumps(_baseline(arguments[0])))


if __name__ == "__main__":
    _main(sys.argv[1:])

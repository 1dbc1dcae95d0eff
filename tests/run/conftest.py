"""The command line as a scheduler sees it: arguments in, exit code and text out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.warehouse import Warehouse


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Hubsync = Callable[..., Outcome]


@pytest.fixture
def hubsync(capsys: pytest.CaptureFixture[str]) -> Hubsync:
    """Run `hubsync …` in this process."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse: --help and usage errors
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def failing_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries instead of six, for tests of what happens when they are used up."""
    monkeypatch.setenv("SOURCES__HUBSPOT__ATTEMPTS", "2")


def query(warehouse: Warehouse, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with warehouse.connect() as connection:
        return connection.execute(sql, parameters)


def app_rows(warehouse: Warehouse) -> dict[str, list[str]]:
    """Every row of every table of `app`, on PostgreSQL with the transaction that wrote
    it: equal before and after means that no row was touched."""
    tables = query(
        warehouse,
        "select table_name from information_schema.tables where table_schema = 'app' "
        "order by table_name",
    )
    written = "xmin::text, " if warehouse.target == "postgres" else ""
    return {
        table: sorted(map(str, query(warehouse, f"select {written}* from app.{table}")))
        for (table,) in tables
    }

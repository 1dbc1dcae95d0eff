"""The parsed dbt project, kept for the next process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest

from pipelines import models, transform
from pipelines.warehouse import Warehouse


@pytest.fixture
def parse(duckdb_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Parse as a new process would; whether dbt was asked."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    asked: list[str] = []
    invoke = transform._invoke

    def counted(runner: Any, arguments: list[str]) -> Any:
        asked.append(arguments[0])
        return invoke(runner, arguments)

    monkeypatch.setattr(transform, "_invoke", counted)

    parsed: list[Manifest] = []

    def parse() -> bool:
        asked.clear()
        monkeypatch.setattr(transform, "_last_parsed", {})
        warehouse = Warehouse.from_environment("duckdb")
        with transform._dbt_environment(warehouse):
            manifest = transform._parsed(warehouse, transform._options(warehouse))
        if asked:
            parsed[:] = [manifest]
        else:  # all that dbt said, where it said it
            said, kept = (
                {k: v for k, v in vars(each).items() if not k.startswith("_")}
                for each in (*parsed, manifest)
            )
            assert repr(said) == repr(kept)
            source = ("hubspot_raw", "contacts")
            assert manifest.resolve_source(*source, "hubsync", "hubsync") is not None
            assert manifest.ref_lookup.find("access", None, None, manifest) is not None
        return bool(asked)

    return parse


def test_a_project_is_parsed_once_and_anew_when_anything_it_is_made_of_differs(
    parse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parse()
    assert not parse()
    (kept,) = tmp_path.glob("target/*/manifest.pickle")
    whole = kept.read_bytes()

    kept.write_bytes(whole[: len(whole) // 2])  # a full disk, a killed process
    assert parse()
    assert not parse()

    with monkeypatch.context() as patched:
        patched.setattr(models, "fingerprint", lambda: "other files, another dbt")
        assert parse()
    assert parse()  # the files of before: another text again
    assert not parse()

    monkeypatch.setenv("HUBSYNC_DUCKDB", str(tmp_path / "another.duckdb"))
    assert parse()


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(
    parse: Any, tmp_path: Path
) -> None:
    parse()
    (kept,) = tmp_path.glob("target/*/manifest.pickle")
    kept.unlink()
    kept.mkdir()  # root may write anywhere, but not over a folder
    assert parse()
    assert parse()

"""What dbt itself does not check about the project's files."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.jsonschemas import jsonschemas

from tests.transform.conftest import ROOT, Database
from tests.transform.portal import Portal

PROJECT = ROOT / "dbt_project"
LAYERS = ("staging", "intermediate", "ops", "app")


def _models(engine: Database) -> list[Any]:
    manifest: Any = engine.manifest
    return [n for n in manifest.nodes.values() if n.resource_type == "model"]


def test_layers_read_only_from_their_left(engine: Database) -> None:
    order = {"sources": 0, "seeds": 0, **{n: i for i, n in enumerate(LAYERS, start=1)}}
    manifest: Any = engine.manifest
    for model in _models(engine):
        for parent in model.depends_on.nodes:
            if parent.startswith("source."):
                assert model.fqn[1] == "staging", f"{model.name} reads {parent}"
            elif parent.startswith("model."):
                layer = manifest.nodes[parent].fqn[1]
                assert order[layer] <= order[model.fqn[1]], f"{model.name}: {parent}"


def test_everything_and_every_column_is_described_and_somebodys(
    engine: Database,
) -> None:
    manifest: Any = engine.manifest
    tables = [
        node
        for node in (*manifest.nodes.values(), *manifest.sources.values())
        if node.resource_type in ("model", "seed", "source")
    ]
    assert len(tables) > 100
    for node in tables:
        assert node.description, node.name
        assert node.columns, node.name
        for column in node.columns.values():
            assert column.description, f"{node.name}.{column.name}"
        if node.resource_type != "source":
            assert node.config.group in {g.name for g in manifest.groups.values()}
    for exposure in manifest.exposures.values():
        assert exposure.description, exposure.name
        assert exposure.owner.name, exposure.name
    for path in (PROJECT / "macros").rglob("*.sql"):
        assert path.read_text().startswith("{#"), f"{path.name} says what it is for"


def test_what_the_app_and_people_read_is_an_exposure(engine: Database) -> None:
    """Whoever changes a published table sees in the lineage whom it concerns."""
    manifest: Any = engine.manifest
    exposed = {
        parent
        for exposure in manifest.exposures.values()
        for parent in exposure.depends_on.nodes
    }
    published = {m.unique_id for m in _models(engine) if m.fqn[1] == "app"}
    assert published
    assert published <= exposed
    assert {"app", "operations_report", "analysis"} == {
        exposure.name for exposure in manifest.exposures.values()
    }


def test_source_freshness_tells_a_load_that_is_old_from_one_that_is_not(
    database: Database, portal: Portal
) -> None:
    database.load(portal)
    assert not database.dbt("source", "freshness").success
    database.run("update hubspot_raw._dlt_loads set inserted_at = now()")
    fresh = database.dbt("source", "freshness")
    assert fresh.success
    assert [
        str(item.status)
        for item in fresh.result.results
        if item.node.resource_type == "source"
    ] == ["pass"]


def test_make_docs_writes_one_page_that_knows_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSYNC_DUCKDB", str(tmp_path / "no-database-yet.duckdb"))
    page = ROOT / "target" / "docs" / "index.html"
    page.unlink(missing_ok=True)
    # -o: what the environment holds is not what this test is about.
    subprocess.run(
        ["make", "-o", ".venv/.installed", "docs"], cwd=ROOT, check=True, timeout=200
    )
    text = page.read_text()
    for known in ("exposure.hubsync.app", "model.hubsync.findings", "hubspot_raw"):
        assert known in text
    assert not (tmp_path / "no-database-yet.duckdb").exists()


def test_yaml_keys_exist() -> None:
    """A misspelt key is silent in dbt; dbt ships the schema that knows them."""
    schema = jsonschemas.resources_schema()
    validator = jsonschemas.CustomDraft7Validator(schema)
    for path in PROJECT.rglob("*.yml"):
        if path.name == "dbt_project.yml":
            continue
        errors = validator.iter_errors(yaml.safe_load(path.read_text()))
        assert [f"{path.name}: {error.message}" for error in errors] == []


def test_seeds_name_the_portals_things_in_the_same_columns() -> None:
    """`hubsync check` reads every seed with one piece of code."""
    for path in (PROJECT / "seeds").glob("*.csv"):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        if path.stem == "access_levels":
            continue
        for row in rows:
            assert row["object_type"], path.name
            assert row["if_missing"] == "ignore", "shipped rows work on any portal"


def test_every_typed_property_is_looked_at_for_values_nobody_can_read() -> None:
    staging = PROJECT / "models" / "staging"
    typed = set()
    for path in staging.glob("stg_hubspot__*.sql"):
        text = path.read_text()
        named = {
            alias: (object_type, name)
            for object_type, aliases in re.findall(
                r"hubspot_properties\('(\w+)', \{(.*?)\}\)", text, re.DOTALL
            )
            for name, alias in re.findall(r"'(\w+)': '(\w+)'", aliases)
        }
        for alias in re.findall(r"as_(?:number|boolean|date|timestamp)\('(\w+)'", text):
            if alias in named:
                typed.add(named[alias])
    listed = re.findall(
        r"\('(\w+)', '(\w+)', '(?:number|boolean|date|timestamp)'\)",
        (staging / "stg_hubspot__unparsable_values.sql").read_text(),
    )
    assert typed == set(listed)
    assert typed

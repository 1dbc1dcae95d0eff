"""The judge: raw against the portal, record by record and link by link."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from pipelines.hubspot.raw import table
from pipelines.hubspot.records import parse_time
from pipelines.load import Load, LoadReport
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from sandbox import Portal

Differences = Callable[[Warehouse, Portal], list[str]]


@pytest.fixture
def load(
    server: object, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., LoadReport]:
    """One load of the served portal; raises when it is not complete.

    The portal has no limits here, so neither has the client.
    """
    monkeypatch.setenv("SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS", "100000")
    monkeypatch.setenv("SOURCES__HUBSPOT__SEARCHES_PER_SECOND", "10000")
    monkeypatch.setenv("SOURCES__HUBSPOT__ASSOCIATIONS_PER_TEN_SECONDS", "100000")

    def run(*, full: bool = False) -> LoadReport:
        report = Load(warehouse, Settings.load(), full=full).run()
        assert report.complete, report.failures
        return report

    return run


@pytest.fixture(scope="session")
def differences() -> Differences:
    """Everything in which `hubspot_raw` is not the portal; empty when exact."""

    def compare(warehouse: Warehouse, portal: Portal) -> list[str]:
        with warehouse.connect() as connection:
            types = [
                row[0]
                for row in connection.execute(
                    f"select object_type from {table('object_types')}"
                )
            ]
            columns: dict[str, dict[str, str | None]] = {}
            for kind, name, column in connection.execute(
                f"select object_type, name, column_name from {table('properties')} "
                "where _state = 'live'"
            ):
                columns.setdefault(kind, {})[name] = column
            links = connection.execute(
                "select from_type, from_id, to_type, to_id, type_id "
                f"from {table('associations')} where _removed is not true"
            )
            found = []
            for kind in types:
                rows = connection.execute(f"select * from {table(kind)}")
                names = connection.columns
                records = [dict(zip(names, row, strict=True)) for row in rows]
                found += _compare_records(kind, records, columns[kind], portal)
        stored = [tuple(link) for link in links]
        truth = {e for e in portal.edges() if e[0] in types and e[2] in types}
        found += [f"link missing {e}" for e in sorted(truth - set(stored))]
        found += [f"link too many {e}" for e in sorted(set(stored) - truth)]
        if len(stored) != len(set(stored)):
            found.append("links doubled")
        return found

    return compare


def _compare_records(
    kind: str,
    rows: list[dict[str, object]],
    columns: dict[str, str | None],
    portal: Portal,
) -> list[str]:
    found = []
    ids = [str(row["id"]) for row in rows]
    if len(ids) != len(set(ids)):
        found.append(f"{kind}: records doubled")
    for record_id in {*portal.live_ids(kind), *portal.archived_ids(kind)} - set(ids):
        found.append(f"{kind} {record_id}: missing")
    for row in rows:
        record = portal.record(kind, str(row["id"]))
        if record is None:
            if row["_state"] not in ("erased", "missing"):
                found.append(f"{kind} {row['id']}: gone, but {row['_state']}")
            continue
        if row["_state"] != record["state"]:
            found.append(f"{kind} {row['id']}: {row['_state']} is {record['state']}")
        if record["state"] == "merged":
            if row["_merged_into"] != record["mergedInto"]:
                found.append(f"{kind} {row['id']}: merged into {row['_merged_into']}")
            continue
        rest = orjson.loads(str(row["_overflow"] or "{}"))
        for name, value in record["properties"].items():
            column = columns[name]
            # A row too wide for its page keeps some columns' values in _overflow.
            stored = row[column] if column is not None else None
            stored = rest.get(name) if stored is None else stored
            if stored != value:
                found.append(
                    f"{kind} {row['id']}.{name}: {stored!r:.60} is {value!r:.60}"
                )
        for column, key in (
            ("_created_at", "createdAt"),
            ("_updated_at", "updatedAt"),
            ("_archived_at", "archivedAt"),
        ):
            if row[column] != parse_time(record[key]):
                found.append(f"{kind} {row['id']}.{column}: {row[column]}")
    return found

"""A way to break the data of every data test of the project.

Derived from the manifest where a test is generic: rows are added to the model or seed
it is about, in dbt's own copy of the project in memory. A singular test states its way
here. A test without one is a failure of tests/transform/test_every_test.py: nobody
knows whether such a test can fail.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.transform.conftest import ROOT

Row = dict[str, str]


@dataclass(frozen=True)
class Harm:
    """What is wrong before the run: `sql` is executed on the database, `rows` (column
    to SQL) are added to what `node` selects, and only rows `where` are left of it.
    `after_commit`: the test compares what was published, so it can only tell."""

    sql: tuple[str, ...] = ()
    node: str = ""
    rows: tuple[Row, ...] = ()
    where: str = "true"
    after_commit: bool = False


VERDICTS = "model.hubsync.int_access_verdicts"
CUSTOMERS = "model.hubsync.int_customers"

# The promises in dbt_project/tests. `acme` has access and is published.
SINGULAR = {
    "assert_there_is_one_portal": Harm(
        sql=("insert into hubspot_raw.portal (portal_id) values ('5678')",)
    ),
    "assert_raw_ids_are_unique": Harm(
        sql=("insert into hubspot_raw.tickets (id) values ('1'), ('1')",)
    ),
    "assert_every_customer_has_a_verdict": Harm(
        node=VERDICTS, where="customer_id <> 'acme'"
    ),
    "assert_no_published_customer_is_dropped": Harm(
        node=CUSTOMERS, where="customer_id <> 'acme'"
    ),
    "assert_every_grant_rests_on_something": Harm(
        node=VERDICTS, rows=({"is_enabled": "true", "reason_code": "'PAUSED'"},)
    ),
    "assert_churned_customers_get_no_access": Harm(
        node=VERDICTS,
        rows=(
            {
                "is_enabled": "true",
                "is_churned": "true",
                "reason_code": "'STATUS_CHURNED'",
            },
        ),
    ),
    "assert_evidence_names_a_record": Harm(
        node=VERDICTS, rows=({"evidence": '\'{"object_type": "deals"}\''},)
    ),
    "assert_levels_agree_with_flags": Harm(
        node=VERDICTS, rows=({"is_enabled": "true", "access_level": "'none'"},)
    ),
    "assert_absence_revokes_nothing": Harm(
        node=VERDICTS,
        rows=(
            {
                "customer_id": "'acme'",
                "is_enabled": "false",
                "reason_code": "'UNKNOWN_HELD'",
            },
        ),
    ),
}

# tests/app: a part of the publication that did not arrive. Of customers and contacts a
# change, since PostgreSQL's foreign keys let nobody in whose new row is missing.
SINGULAR |= {
    name: Harm(node=f"model.hubsync.{model}", where=where, after_commit=True)
    for name, model, where in (
        ("assert_app_customers_equal_hubspot", "customers", "customer_id <> 'acme'"),
        ("assert_app_contacts_equal_hubspot", "contacts", "contact_id <> 'p-acme'"),
        ("assert_app_memberships_equal_hubspot", "memberships", "false"),
        ("assert_app_subscriptions_equal_hubspot", "subscriptions", "false"),
        ("assert_every_app_customer_has_access_row", "access", "false"),
    )
}
# An edit by hand is put back, unless what would put it back is held.
SINGULAR["assert_newest_event_says_what_access_says"] = Harm(
    sql=(
        "update app.access set access_level = 'team' where customer_id = 'leaving'",
        "update ops.extract_counts set live_rows = 1000 where object_type = 'deals'",
    ),
    after_commit=True,
)

WRONG = "'no such value'"

# Generic tests for which a row more is not enough, by (test, model, column).
PARTICULAR = {
    # Rows that nobody finds any more leave ops.findings in the same step.
    ("primary_key", "findings", "finding_id"): Harm(
        sql=("insert into ops.findings select * from ops.findings",)
    ),
    # With less in it, so many tests fail that the message does not name them all.
    ("relationships", "int_subscriptions", "customer_id"): Harm(
        node="model.hubsync.int_subscriptions",
        rows=(
            {
                "subscription_id": "'1'",
                "customer_id": WRONG,
                "status": "'active'",
            },
        ),
    ),
}


def _rows(name: str, column: str, columns: list[str]) -> tuple[Row, ...]:
    """Rows that a generic test of this name refuses."""
    return {
        "unique": ({column: "'1'"}, {column: "'1'"}),
        "primary_key": ({column: "'1'"}, {column: "'1'"}),
        "not_null": ({},),
        "no_nulls": ({},),
        "accepted_values": ({column: WRONG},),
        "relationships": ({column: WRONG},),
        "unique_combination": ({}, {}),
    }[name]


def data_tests(manifest: Any) -> dict[str, Any]:
    """Name to node of every data test, all layers."""
    return {
        node.name: node
        for node in manifest.nodes.values()
        if node.resource_type == "test"
    }


def harm_of(manifest: Any, test: Any) -> Harm | None:
    """How to break the data of a data test; None when nobody has said."""
    if not hasattr(test, "test_metadata"):
        return SINGULAR.get(test.name)
    about = test.attached_node or test.depends_on.nodes[-1]
    node = manifest.nodes.get(about) or manifest.sources[about]
    name, column = test.test_metadata.name, test.column_name or ""
    if (name, node.name, column) in PARTICULAR:
        return PARTICULAR[name, node.name, column]
    try:
        rows = _rows(name, column, test.test_metadata.kwargs.get("columns", []))
    except KeyError:
        return None
    if node.resource_type == "source":
        filled = [{column: "null", **row} for row in rows]
        return Harm(
            sql=tuple(
                f"insert into {node.schema}.{node.identifier} ({', '.join(row)})"
                f" values ({', '.join(row.values())})"
                for row in filled
            )
        )
    return Harm(node=about, rows=rows)


@contextmanager
def harmed(manifest: Any, harm: Harm, folder: Path) -> Iterator[None]:
    """The manifest with the harm in it; as it was afterwards."""
    if not harm.node:
        yield
        return
    node = manifest.nodes[harm.node]
    before = node.raw_code, node.original_file_path
    if node.resource_type == "seed":
        node.original_file_path = str(_harmed_seed(node, harm, folder))
    else:
        node.raw_code = _harmed_sql(node, harm)
    try:
        yield
    finally:
        node.raw_code, node.original_file_path = before


def _harmed_sql(node: Any, harm: Harm) -> str:
    columns = list(node.columns)
    selects = [
        f"select {', '.join(columns)} from (\n{node.raw_code}\n) as harmed"
        f" where {harm.where}"
    ]
    for row in harm.rows:
        values = ", ".join(f"{row.get(name, 'null')} as {name}" for name in columns)
        selects.append(f"select {values}")
    return "\nunion all\n".join(selects)


def _harmed_seed(node: Any, harm: Harm, folder: Path) -> Path:
    """The CSV with its first row again, changed as the added rows say."""
    source = ROOT / "dbt_project" / node.original_file_path
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    path = folder / source.name
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        for row in harm.rows:
            changed = {name: text.strip("'") for name, text in row.items()}
            # Nothing in it but what the test refuses: numbers stay numbers.
            kept = rows[0] if row else dict.fromkeys(rows[0], "")
            writer.writerow({**kept, **changed})
    return path

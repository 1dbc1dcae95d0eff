"""The schema `hubspot`: every property typed, whatever someone has typed into it."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.transform.conftest import Database, failures
from tests.transform.portal import Portal

# HubSpot's type and field type, what PostgreSQL calls it here, a value and what it is.
TYPES: dict[str, tuple[str, str, str, str, Any]] = {
    "a_number": ("number", "number", "numeric", "12.345", Decimal("12.345")),
    "an_id": ("number", "number", "text", "007", "007"),
    "a_bool": ("bool", "booleancheckbox", "boolean", "true", True),
    "a_choice": ("enumeration", "booleancheckbox", "boolean", "false", False),
    "a_date": ("date", "date", "date", "2026-12-31", datetime.date(2026, 12, 31)),
    "an_instant": (
        "datetime",
        "date",
        "timestamp with time zone",
        "2026-01-05T09:00:00Z",
        datetime.datetime(2026, 1, 5, 9, tzinfo=datetime.UTC),
    ),
    "a_select": ("enumeration", "select", "text", "a;b", "a;b"),
    "a_list": ("enumeration", "checkbox", "ARRAY", ";red;;a b;", ["red", "a b"]),
    "a_text": ("string", "text", "text", " padded ", " padded "),
    "a_json": ("json", "textarea", "text", "{broken", "{broken"),
}
UNREADABLE = [
    *("", " ", "x", "NaN", "1e400", "9" * 40, "2026-02-31", "31/12/1999", "TRUE!"),
    *("0001-01-01", "9" * 13, "-1", "'; drop table x; --", "{1,2}", ";;", "\\"),
]
LONG = "consent_to_be_contacted_about_products_and_services_of_group_companies"
HOSTILE = [
    *("Foo-Bar", "foo_bar", "FOO_BAR", "id", "created_at", "record_state", "ctid"),
    *('with"quote', "with'apostrophe", "with.dot", "with%percent {{ braces }}", "*"),
    *("$path", "/pointer~1", "$", "0", "select", "日本語", "🚀", " ", "-", "new\nline"),
    *(LONG, LONG + "_v2", "merged_into_id", "_state", "_overflow"),
]


def make_views(database: Database) -> None:
    result = database.dbt("run-operation", "create_hubspot_views")
    assert result.success, failures(result)


def columns(database: Database, view: str) -> dict[str, str]:
    rows = database.run(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'hubspot' and table_name = %s"
        " order by ordinal_position",
        (view,),
    )
    return dict(rows)


def comments(database: Database, view: str) -> dict[str, str]:
    if database.target == "duckdb":
        sql = (
            "select column_name, comment from duckdb_columns()"
            f" where schema_name = 'hubspot' and table_name = '{view}'"
        )
    else:
        sql = (
            "select attname, col_description(attrelid, attnum) from pg_attribute"
            f" where attrelid = 'hubspot.{view}'::regclass and attnum > 0"
        )
    return dict(database.run(sql))


def test_every_property_has_hubspots_type_and_no_value_breaks_a_view(
    database: Database, portal: Portal
) -> None:
    portal.properties["deals"] = list(TYPES)
    for name, (type_, field, *_) in TYPES.items():
        portal.definitions["deals", name] = {"type": type_, "field_type": field}
    portal.put("deals", "good", **{name: row[3] for name, row in TYPES.items()})
    for number, value in enumerate(UNREADABLE):
        portal.put("deals", f"bad-{number}", **dict.fromkeys(TYPES, value))
    portal.definitions["deals", "a_number"] |= {
        "label": 'It\'s "quoted"',
        "description": "Two\nlines; a 'quote', 100 %, {{ braces }} and \\",
    }
    database.load(portal)
    make_views(database)

    types = columns(database, "deals")
    if database.target == "postgres":
        assert {name: types[name] for name in TYPES} == {
            name: row[2] for name, row in TYPES.items()
        }
    rows = database.run(f"select {', '.join(TYPES)} from hubspot.deals where id='good'")
    assert rows == [tuple(row[4] for row in TYPES.values())]
    assert len(database.run("select * from hubspot.deals")) == 1 + len(UNREADABLE)
    nothing = database.run(
        "select a_number, a_bool, a_date, an_instant from hubspot.deals where an_id='x'"
    )
    assert nothing == [(None, None, None, None)]
    said = comments(database, "deals")
    assert said["a_number"] == (
        "It's \"quoted\": Two\nlines; a 'quote', 100 %, {{ braces }} and \\"
    )
    assert all(said.values()), "every column is commented"


@pytest.mark.parametrize("placed", ["in columns", "overflowing"])
def test_a_property_of_any_name_has_a_column_of_its_own(
    database: Database, portal: Portal, placed: str
) -> None:
    """Names that look alike, that are ours, that are too long or that are SQL."""
    values = {name: f"value of {name}" for name in HOSTILE}
    # As the loader does it: in a column whose name says little, or in none; and in a
    # row that is too wide for its page some values overflow.
    spilled = HOSTILE if placed == "overflowing" else HOSTILE[::2]
    names = {name: f"c{number}" for number, name in enumerate(HOSTILE)}
    portal.properties["companies"] = list(names.values())
    for name, column in names.items():
        portal.definitions["companies", column] = {
            "name": name,
            "column_name": None if placed == "overflowing" else column,
            "label": None,
        }
    overflow = json.dumps({name: values[name] for name in spilled})
    kept = {names[name]: values[name] for name in HOSTILE if name not in spilled}
    portal.put("companies", "1", _overflow=overflow, **kept)
    database.load(portal)
    make_views(database)

    found = database.run("select * from hubspot.companies")
    row = dict(zip(columns(database, "companies"), found[0], strict=True))
    assert {value for value in row.values() if value and "value of" in str(value)} == (
        set(values.values())
    )
    said = comments(database, "companies")
    for column, value in row.items():
        if value and str(value).startswith("value of "):
            name = str(value).removeprefix("value of ")
            assert column == name or f"[{name}]" in said[column]
            assert len(column.encode()) <= 63
    assert row["id"] == "1"
    assert row["record_state"] == "live"


def test_views_follow_the_properties_and_stay_as_they_are_while_nothing_changes(
    database: Database, portal: Portal
) -> None:
    def oid() -> Any:
        if database.target == "duckdb":
            sql = (
                "select view_oid from duckdb_views() where schema_name = 'hubspot'"
                " and view_name = 'deals'"
            )
        else:
            sql = "select 'hubspot.deals'::regclass::oid::bigint"
        return database.run(sql)

    portal.deal("1", amount="12.50")
    database.load(portal)
    make_views(database)
    before = oid()
    make_views(database)
    assert oid() == before, "not made anew"

    portal.properties["deals"].append("brand_new")
    portal.properties["deals"].remove("contract_end_date")
    portal.types["deals", "amount"] = "number"
    portal.definitions["deals", "dealname"] = {"label": "Renamed"}
    portal.deal("2", brand_new="x")
    database.load(portal)
    make_views(database)
    assert "contract_end_date" not in columns(database, "deals")
    assert comments(database, "deals")["dealname"].startswith("Renamed:")
    assert database.run("select amount, brand_new from hubspot.deals order by id") == [
        (Decimal("12.50"), None),
        (None, "x"),
    ]


def test_a_view_that_an_analysts_own_view_reads_keeps_its_columns(
    database: Database, portal: Portal
) -> None:
    """PostgreSQL refuses to drop what another view reads; it must not stay stale."""
    portal.deal("1", amount="12.50", contract_end_date="2026-12-31", pipeline="default")
    database.load(portal)
    make_views(database)
    database.run("create schema if not exists ops")
    database.run("create view ops.ours as select * from hubspot.deals")

    portal.properties["deals"].append("brand_new")
    portal.properties["deals"].remove("contract_end_date")
    del portal.records["deals"]["1"]["contract_end_date"]
    portal.types["deals", "amount"] = "number"
    portal.deal("2", brand_new="x", amount="none")
    if database.target == "postgres":  # as the loader keeps a column it has made
        database.run("alter table hubspot_raw.deals add brand_new text")
        database.run("update hubspot_raw.properties set type = 'number'")
        database.run(
            "update hubspot_raw.properties set _state = 'archived'"
            " where name = 'contract_end_date'"
        )
        database.run(
            "insert into hubspot_raw.properties (object_type, name, column_name, type,"
            " _state) values ('deals', 'brand_new', 'brand_new', 'string', 'live')"
        )
        database.run("insert into hubspot_raw.deals (id, brand_new) values ('2', 'x')")
    else:
        database.load(portal)
    make_views(database)
    assert database.run("select id, brand_new from hubspot.deals order by id") == [
        ("1", None),
        ("2", "x"),
    ]
    assert database.run("select count(*) from ops.ours") == [(2,)]
    if database.target == "postgres":
        amount = database.run("select amount, contract_end_date from hubspot.deals")
        assert ("12.50", None) in amount, "the type that the other view knows"
        database.run("drop view ops.ours")
        make_views(database)
        assert (Decimal("12.50"),) in database.run("select amount from hubspot.deals")
        assert "contract_end_date" not in columns(database, "deals")


def test_links_owners_and_stages_are_joined_without_doubling_rows(
    database: Database, portal: Portal
) -> None:
    portal.company("1", hubspot_owner_id="7")
    portal.deal("d", "1")  # two types of one link
    portal.contact("p", "1")
    portal.link("contacts", "p", "companies", "1", type_id=1)
    portal.link("contacts", "p", "companies", "1", type_id=90, label="Decides; signs")
    portal.link("contacts", "p", "companies", "1", type_id=91, label="Pays")
    portal.owners.append({"id": "7", "first_name": "Ann", "archived": False})
    database.load(portal)
    make_views(database)

    rows = database.run(
        "select deals.id, companies.name, owners.name, stages.stage_label,"
        " stages.probability"
        " from hubspot.deals as deals"
        " inner join hubspot.associations as links on links.from_type = 'deals'"
        " and links.from_id = deals.id and links.to_type = 'companies'"
        " inner join hubspot.companies as companies on companies.id = links.to_id"
        " left join hubspot.owners as owners on owners.id = companies.hubspot_owner_id"
        " left join hubspot.pipeline_stages as stages"
        " on stages.object_type = 'deals' and stages.stage_id = deals.dealstage"
    )
    assert rows == [("d", "Company 1", "Ann", "Closed won", Decimal(1))]
    links = database.run(
        "select from_id, is_primary, labels from hubspot.associations"
        " where from_type = 'contacts'"
    )
    assert links == [("p", True, ["Decides, signs", "Pays"])]
    for view in ("associations", "owners", "pipeline_stages"):
        assert all(comments(database, view).values())

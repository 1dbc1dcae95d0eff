"""Property names become columns: each its own, for good."""

import keyword

from hypothesis import given
from hypothesis import strategies as st

from pipelines.hubspot.columns import (
    MOST_PROPERTY_COLUMNS,
    SYSTEM_COLUMNS,
    assign_columns,
    column_name,
)

names = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_]{0,70}", fullmatch=True),
    st.text(min_size=1, max_size=90),
    st.sampled_from(["id", "xmin", "ctid", "_state", "Foo-Bar", "foo_bar", "FOO BAR"]),
)


@given(st.sets(names, max_size=40))
def test_no_two_properties_share_a_column_and_none_shadows_ours(
    some: set[str],
) -> None:
    columns = list(assign_columns(some).in_columns.values())
    assert len(columns) == len(set(columns)) == len(some)
    assert not set(columns) & (SYSTEM_COLUMNS.keys() | {"xmin", "ctid", "tableoid"})
    assert all(len(column.encode()) <= 63 for column in columns)


@given(st.from_regex(r"[a-z][a-z0-9_]{2,62}", fullmatch=True))
def test_a_plain_name_is_its_own_column(name: str) -> None:
    assert name in ("oid", "cmin", "cmax", "xmin", "xmax", "ctid", "tableoid") or (
        column_name(name) == name
    )


def test_words_of_sql_and_python_stay_plain() -> None:
    assert {column_name(word) for word in ("select", "order", "user")} == {
        "select",
        "order",
        "user",
    }
    assert all(column_name(w) == w for w in keyword.kwlist if w.islower())


@given(st.sets(names, max_size=10), st.sets(names, max_size=10))
def test_a_property_keeps_its_column_when_others_come_and_go(
    first: set[str], second: set[str]
) -> None:
    before = assign_columns(first).by_property
    after = assign_columns(first | second, before).by_property
    assert all(after[name] == column for name, column in before.items())


def test_more_properties_than_postgresql_has_columns_overflow() -> None:
    columns = assign_columns(f"p{i}" for i in range(MOST_PROPERTY_COLUMNS + 300))
    assert len(columns.in_columns) == MOST_PROPERTY_COLUMNS
    assert len(columns.overflowing) == 300
    assert len(columns.properties) == MOST_PROPERTY_COLUMNS + 300

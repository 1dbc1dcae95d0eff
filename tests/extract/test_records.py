"""Raw is exactly what HubSpot sent: every character, null and "" apart."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.hubspot.client import decode_json
from pipelines.hubspot.columns import assign_columns
from pipelines.hubspot.records import page_decoder, parse_time, to_arrow, together

values = st.one_of(st.none(), st.text(max_size=30))


def record(record_id: str, **properties: Any) -> dict[str, Any]:
    return {
        "id": record_id,
        "properties": properties,
        "createdAt": "2024-01-02T03:04:05.678Z",
        "updatedAt": "2024-01-02T03:04:05Z",
    }


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), values), max_size=8))
def test_values_arrive_to_the_character(properties: list[dict[str, Any]]) -> None:
    columns = assign_columns("abcdef")
    records = [record(str(i), **each) for i, each in enumerate(properties)]
    rows = to_arrow(records, columns, "live").to_pylist()
    for row, given_properties in zip(rows, properties, strict=True):
        assert {n: row[n] for n in "abcdef"} == {
            n: given_properties.get(n) for n in "abcdef"
        }


anything = st.recursive(
    st.one_of(values, st.integers(-9, 9), st.floats(allow_nan=False), st.booleans()),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
listed = st.fixed_dictionaries(
    {
        "id": st.one_of(st.integers(1).map(str), st.integers(1, 9)),
        "properties": st.one_of(
            st.none(),
            st.dictionaries(st.sampled_from("abcdefgh"), values, max_size=8),
            st.dictionaries(st.sampled_from("abcdef"), anything, max_size=3),
        ),
    },
    optional={
        "createdAt": st.sampled_from(["2024-01-02T03:04:05.678Z", "soon", "", None]),
        "updatedAt": st.sampled_from(["2024-01-02T03:04:05Z", 1704164645678]),
        "archived": st.booleans(),
    },
)


@settings(deadline=None)
@given(
    st.lists(listed, max_size=4),
    st.sampled_from([None, {}, {"next": {"after": "7", "link": "?after=7"}}]),
    st.sampled_from(
        [
            orjson.dumps,
            lambda answer: orjson.dumps(answer, option=orjson.OPT_INDENT_2),
            lambda answer: json.dumps(answer).encode(),
        ]
    ),
)
def test_a_page_read_by_arrow_says_what_the_same_page_says_as_dicts(
    records: list[dict[str, Any]], paging: Any, encode: Callable[[Any], bytes]
) -> None:
    columns = assign_columns("abcdef")
    content = encode({"results": records, "paging": paging})
    fast, plain = page_decoder(columns)(content), decode_json(content)
    for answer in (fast, plain):
        following = (answer["paging"] or {}).get("next") or {}
        assert following.get("after") == (paging or {}).get("next", {}).get("after")
    expected = to_arrow(plain["results"], columns, "live")
    assert to_arrow(fast["results"], columns, "live").equals(expected)
    halves = together([fast["results"][:2], fast["results"][2:]])
    tables = [to_arrow(page, columns, "live") for page in halves]
    assert pa.concat_tables(tables).equals(expected)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"results": [{"id": "1", "properties": {"a": "x"}}',
        b'{"results": null}',
        b'{"results": [null]}',
        b'{"results": [{"id": null, "properties": {}}]}',
        b'{"results": [{"id": "1", "properties": {"a": "\xff"}}]}',
        b'{"results": [{"id": "1", "properties": {"a": "\\ud800"}}]}',
        b'{"results": [{"id": "1", "properties": {"a": "\\u0000"}}]}',
        b'{"results": [{"id": "1", "properties": {"a": "1", "a": "2"}}]}',
        b'{"results": []}\n{"results": []}',
        b"<html>",
    ],
)
def test_a_page_that_is_not_as_promised_is_left_to_the_dicts(content: bytes) -> None:
    assert page_decoder(assign_columns("ab"))(content) == decode_json(content)


def test_an_ordinary_page_is_read_by_arrow() -> None:
    content = orjson.dumps({"results": [record("1", a='é\n"')], "paging": None})
    page = page_decoder(assign_columns("ab"))(content)["results"]
    assert isinstance(page, pa.StructArray)


def test_every_batch_has_one_schema_whatever_its_values() -> None:
    columns = assign_columns(["a", "b"])
    empty = to_arrow([], columns, "live").schema
    assert to_arrow([record("1", a=None)], columns, "live").schema == empty
    assert to_arrow([record("1", a="x", zz="y")], columns, "archived").schema == empty


def test_a_bare_number_from_hubspot_is_kept_as_its_text() -> None:
    columns = assign_columns(["a"])
    row = to_arrow([record("1", a=12.5)], columns, "live").to_pylist()[0]
    assert row["a"] == "12.5"


def test_properties_without_a_column_are_kept_in_overflow() -> None:
    columns = assign_columns(["a", "b"], {"a": "a", "b": None})
    row = to_arrow([record("1", a="x", b="é")], columns, "live").to_pylist()[0]
    assert row["a"] == "x"
    assert orjson.loads(row["_overflow"]) == {"b": "é"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02T03:04:05.678Z", datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        ("1704164645678", datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        ("", None),
        ("soon", None),
        ("99999999999999999999", None),
    ],
)
def test_times_come_as_iso_or_as_milliseconds(
    text: str, expected: datetime | None
) -> None:
    assert parse_time(text) == expected


def test_text_no_database_can_hold_becomes_the_replacement_character() -> None:
    answer = decode_json(b'{"a": "x\\u0000y", "b": "\\ud83d\\ude00 \\ud800!"}')
    assert answer == {"a": "x\ufffdy", "b": "😀 \ufffd!"}


def test_truncated_json_is_not_an_answer() -> None:
    assert decode_json(b'{"results": [{"id": "1"') is None


def test_a_row_wider_than_a_page_keeps_what_does_not_fit_in_overflow() -> None:
    names = [f"p{i:03}" for i in range(600)]
    columns = assign_columns(names)
    wide = record("1", **dict.fromkeys(names, "x" * 40))
    narrow = record("2", **{name: "y" for name in names})
    rows = to_arrow([wide, narrow], columns, "live").to_pylist()
    over = orjson.loads(rows[0]["_overflow"])
    assert 0 < len(over) < 300
    assert all((rows[0][n] or over.get(n)) == "x" * 40 for n in names)
    assert rows[1]["_overflow"] is None

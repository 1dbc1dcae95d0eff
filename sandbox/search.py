"""Search over what the index has seen: filters, case rules, sorts (section 3)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from sandbox import clock
from sandbox.errors import invalid
from sandbox.objects import ObjectType
from sandbox.store import Record, Table, by_id

MOST_RESULTS = 10_000
MOST_PER_PAGE = 200
MOST_GROUPS = 5
MOST_FILTERS_PER_GROUP = 6
MOST_FILTERS = 18
MOST_CHARACTERS = 3000  # of filters and query; property names do not count

# What free text is looked for in.
SEARCHED = {
    "contacts": ("firstname", "lastname", "email", "phone", "company", "hs_object_id"),
    "companies": ("name", "domain", "website", "phone"),
    "deals": ("dealname",),
    "tickets": ("subject", "content"),
    "products": ("name", "description", "price", "hs_sku"),
}

Filter = dict[str, Any]
Test = Callable[[Record], bool]


class Catalogue(Protocol):
    """What a search asks the portal about properties and associations."""

    def property_type(self, object_type: str, name: str) -> str | None: ...

    def associated(self, object_type: str, other: str, record_id: str) -> set[int]: ...

    def association_version(self) -> int: ...


class Search:
    """One object type's search, remembering recent answers until the index moves."""

    def __init__(self, kind: ObjectType, table: Table, catalogue: Catalogue) -> None:
        self.kind = kind
        self.table = table
        self.catalogue = catalogue
        self._recent: dict[bytes, list[Record]] = {}
        self._version = (-1, -1)

    def run(self, body: dict[str, Any]) -> tuple[int, list[Record], str | None]:
        """Total, the page of records, and the next `after`.

        Raises ApiError 400 for whatever HubSpot refuses.
        """
        limit, after = self._window(body)
        groups = self._groups(body)
        order = self._sort(body)
        query = str(body.get("query") or "")
        size = len(orjson.dumps(groups)) + len(query)
        if size > MOST_CHARACTERS:
            raise invalid(
                f"The request is {size} characters; at most {MOST_CHARACTERS} allowed."
            )
        by_id_ascending = order in (None, ("hs_object_id", False))
        floor = None
        if by_id_ascending and len(groups) == 1:
            # A walk by id asks the same question with a growing floor: answer the
            # question once, and find each page's place in it.
            rest = [one for one in groups[0] if not _is_floor(one)]
            floors = [int(one["value"]) for one in groups[0] if _is_floor(one)]
            if floors:
                floor, groups = max(floors), [rest]
        found = self._matching(groups, query, order)
        start = 0 if floor is None else bisect_right(found, floor, key=by_id)
        total = len(found) - start
        page = found[start + after : start + after + limit]
        end = after + limit
        return total, page, str(end) if end < total else None

    def _window(self, body: dict[str, Any]) -> tuple[int, int]:
        try:
            limit = int(body.get("limit") or 10)
            after = int(body.get("after") or 0)
        except (TypeError, ValueError):
            raise invalid("`limit` and `after` must be integers") from None
        if not 0 < limit <= MOST_PER_PAGE:
            raise invalid(f"limit must be between 1 and {MOST_PER_PAGE}, not {limit}")
        if after < 0:
            raise invalid("`after` must not be negative")
        if after + limit > MOST_RESULTS:
            raise invalid(
                f"Search is limited to {MOST_RESULTS} results per query; "
                f"{after + limit} were asked for."
            )
        return limit, after

    def _groups(self, body: dict[str, Any]) -> list[list[Filter]]:
        groups = [list(g.get("filters") or []) for g in body.get("filterGroups") or []]
        if body.get("filters"):
            groups.append(list(body["filters"]))
        if len(groups) > MOST_GROUPS:
            raise invalid(f"at most {MOST_GROUPS} filterGroups, not {len(groups)}")
        if any(len(group) > MOST_FILTERS_PER_GROUP for group in groups):
            raise invalid(f"at most {MOST_FILTERS_PER_GROUP} filters in a group")
        if sum(map(len, groups)) > MOST_FILTERS:
            raise invalid(f"at most {MOST_FILTERS} filters in all")
        return groups

    def _sort(self, body: dict[str, Any]) -> tuple[str, bool] | None:
        """(property, descending), or None for the order of creation."""
        sorts = body.get("sorts") or []
        if len(sorts) > 1:
            raise invalid("only one sort is allowed")
        if not sorts:
            return None
        sort = sorts[0]
        if isinstance(sort, str):
            return sort.removeprefix("-"), sort.startswith("-")
        name, direction = sort.get("propertyName"), sort.get("direction", "ASCENDING")
        if direction not in ("ASCENDING", "DESCENDING"):
            raise invalid(f"unknown sort direction {direction!r}")
        self._type(str(name))
        return str(name), direction == "DESCENDING"

    def _matching(
        self, groups: list[list[Filter]], query: str, order: tuple[str, bool] | None
    ) -> list[Record]:
        version = (self.table.version, self.catalogue.association_version())
        if version != self._version:
            self._recent.clear()
            self._version = version
        key = orjson.dumps([groups, query, order])
        if key not in self._recent:
            if len(self._recent) > 16:
                self._recent.clear()
            self._recent[key] = self._evaluate(groups, query, order)
        return self._recent[key]

    def _evaluate(
        self, groups: list[list[Filter]], query: str, order: tuple[str, bool] | None
    ) -> list[Record]:
        rows = self.table.live
        since = self._only_modified_since(groups)
        if since is not None and not query:
            found = [row for row in rows if row.indexed_updated >= since]
        else:
            alternatives = [[self._test(one) for one in group] for group in groups]
            found = [row for row in rows if row.indexed is not None]
            if alternatives:
                found = [
                    row
                    for row in found
                    if any(all(test(row) for test in tests) for tests in alternatives)
                ]
            if query:
                found = [row for row in found if self._mentions(row, query)]
        if order is not None:
            self._order(found, *order)
        return found

    def _only_modified_since(self, groups: list[list[Filter]]) -> int | None:
        """The bound of the one filter `modified GTE x`, the question of every sync."""
        if len(groups) != 1 or len(groups[0]) != 1:
            return None
        only = groups[0][0]
        if (
            only.get("propertyName") != self.kind.modified
            or only.get("operator") != "GTE"
        ):
            return None
        since = clock.parse(str(only.get("value")))
        return None if since is None else max(since, 0)

    def _order(self, found: list[Record], name: str, descending: bool) -> None:
        if name == "hs_object_id":
            if descending:  # the table is in ascending order anyway
                found.reverse()
            return
        comparable = _comparable(self._type(name))
        known: list[tuple[Any, Record]] = []
        unknown: list[Record] = []
        for row in found:
            value = comparable((row.indexed or {}).get(name) or "")
            if value is None or value == "":
                unknown.append(row)
            else:
                known.append((value, row))
        known.sort(key=lambda pair: pair[0], reverse=descending)
        found[:] = [row for _, row in known] + unknown

    def _mentions(self, row: Record, query: str) -> bool:
        names = SEARCHED.get(self.kind.name, ("name", "hs_name"))
        text = " ".join((row.indexed or {}).get(name) or "" for name in names).lower()
        return all(word in text for word in query.lower().split())

    def _type(self, name: str) -> str:
        if name == "hs_object_id":
            return "id"
        type_ = self.catalogue.property_type(self.kind.name, name)
        if type_ is None:
            raise invalid(
                f"Property {name!r} does not exist for {self.kind.singular}.",
                errors=[{"message": f"unknown property {name}", "code": "INVALID"}],
            )
        return type_

    def _test(self, one: Filter) -> Test:
        name, operator = str(one.get("propertyName")), str(one.get("operator"))
        if operator not in OPERATORS:
            raise invalid(f"Invalid operator {operator!r}")
        if name.startswith("associations."):
            return self._association_test(name.removeprefix("associations."), one)
        if self.kind.name == "contacts" and name == "hs_lastmodifieddate":
            # Not a contact property, yet no error: 0 rows (section 3.1).
            return lambda row: False
        type_ = self._type(name)
        if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
            wanted = operator == "HAS_PROPERTY"
            return lambda row: bool((row.indexed or {}).get(name)) is wanted
        test = _value_test(type_, operator, one)

        if name == "hs_object_id":
            return lambda row: test(str(row.id))
        if name == self.kind.modified:
            return lambda row: test(str(row.indexed_updated))
        return lambda row: test((row.indexed or {}).get(name) or "")

    def _association_test(self, other: str, one: Filter) -> Test:
        if one.get("operator") not in ("EQ", "IN"):
            raise invalid("associations can only be searched with EQ and IN")
        values = one.get("values") or [one.get("value")]
        ids = set[int]()
        for value in values:
            ids |= self.catalogue.associated(self.kind.name, other, str(value))
        return lambda row: row.id in ids


OPERATORS = [
    "LT",
    "LTE",
    "GT",
    "GTE",
    "EQ",
    "NEQ",
    "BETWEEN",
    "IN",
    "NOT_IN",
    "HAS_PROPERTY",
    "NOT_HAS_PROPERTY",
    "CONTAINS_TOKEN",
    "NOT_CONTAINS_TOKEN",
]


def _is_floor(one: Filter) -> bool:
    return (
        one.get("propertyName") == "hs_object_id"
        and one.get("operator") == "GT"
        and str(one.get("value")).isdigit()
    )


def _comparable(type_: str) -> Callable[[str], Any]:
    """Turns text into what it sorts by; None when it cannot be read as its type."""
    if type_ == "id":
        return lambda text: int(text) if text.lstrip("-").isdigit() else None
    if type_ == "number":
        return _number
    if type_ in ("date", "datetime"):
        return clock.parse
    if type_ == "enumeration":
        return str
    return str.lower


def _number(text: str) -> float | int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return None if number != number else number


def _value_test(type_: str, operator: str, one: Filter) -> Callable[[str], bool]:
    """A test of one stored value ("" for none). Absent never matches a comparison."""
    comparable = _comparable(type_)
    if operator in ("IN", "NOT_IN"):
        wanted = {str(value) for value in one.get("values") or []}
        if not wanted:
            raise invalid(f"{operator} needs `values`")
        within = operator == "IN"
        return lambda text: (not wanted.isdisjoint(_members(type_, text))) is within
    if one.get("value") is None:
        raise invalid(f"{operator} needs a `value`")
    value = str(one["value"])
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        contains = operator == "CONTAINS_TOKEN"
        tokens = [
            re.compile(re.escape(token).replace(r"\*", ".*"))
            for token in value.lower().split()
        ]
        return lambda text: _has_tokens(text, tokens) is contains
    bound = comparable(value)
    if operator in ("EQ", "NEQ"):
        equal = operator == "EQ"
        if type_ == "enumeration":
            return lambda text: (value in _members(type_, text)) is equal
        return lambda text: (bool(text) and comparable(text) == bound) is equal
    if bound is None:
        raise invalid(f"{value!r} is not a valid {type_}")
    if operator == "BETWEEN":
        high = comparable(str(one.get("highValue")))
        if high is None:
            raise invalid("BETWEEN needs a `highValue`")
        return _when(comparable, lambda number: bound <= number <= high)
    compare: dict[str, Callable[[Any], bool]] = {
        "LT": lambda number: number < bound,
        "LTE": lambda number: number <= bound,
        "GT": lambda number: number > bound,
        "GTE": lambda number: number >= bound,
    }
    return _when(comparable, compare[operator])


def _when(
    comparable: Callable[[str], Any], test: Callable[[Any], bool]
) -> Callable[[str], bool]:
    def applied(text: str) -> bool:
        number = comparable(text) if text else None
        return number is not None and test(number)

    return applied


def _members(type_: str, text: str) -> set[str]:
    """Several values joined by `;` match by each; strings only in lower case."""
    if not text:
        return set()
    if type_ == "enumeration":
        return {text, *text.split(";")}
    return {text if type_ in ("number", "date", "datetime", "id") else text.lower()}


def _has_tokens(text: str, tokens: list[re.Pattern[str]]) -> bool:
    lowered = text.lower()
    words = [*re.split(r"[^\w]+", lowered), *lowered.split(), lowered]
    return bool(tokens) and all(
        any(token.fullmatch(word) for word in words) for token in tokens
    )

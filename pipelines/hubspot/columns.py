"""From HubSpot property names to columns: one text column each, never two for one.

A plain name ([a-z][a-z0-9_]*, at most 63 bytes) is its own column, so analysts find
`lifecyclestage` under that name. Any other name gets a readable stem and a hash of
the whole name: two names that look alike after cleaning can then never meet, whichever
of them HubSpot adds first. A column, once given, is kept (`assigned`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SYSTEM_COLUMNS = {
    "id": "text",
    "_state": "text",
    "_created_at": "timestamptz",
    "_updated_at": "timestamptz",
    "_archived_at": "timestamptz",
    "_merged_into": "text",
    "_overflow": "text",
    "_dlt_load_id": "text",
}

# PostgreSQL allows 1,600 columns; the rest of a portal's properties go to _overflow.
MOST_PROPERTY_COLUMNS = 1_400

_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED = {"id", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"}


@dataclass(frozen=True)
class Columns:
    """Of one object type: property name -> column, or None where it overflows."""

    by_property: Mapping[str, str | None]

    @property
    def properties(self) -> list[str]:
        """Names to ask HubSpot for, in a steady order."""
        return list(self.by_property)

    @property
    def in_columns(self) -> dict[str, str]:
        return {name: column for name, column in self.by_property.items() if column}

    @property
    def overflowing(self) -> list[str]:
        return [name for name, column in self.by_property.items() if not column]


def assign_columns(
    names: Iterable[str], assigned: Mapping[str, str | None] | None = None
) -> Columns:
    """Columns for `names`, keeping those already `assigned` in earlier runs."""
    kept = dict(assigned or {})
    room = MOST_PROPERTY_COLUMNS - sum(1 for column in kept.values() if column)
    by_property: dict[str, str | None] = {}
    for name in sorted(set(names)):
        if name in kept:
            by_property[name] = kept[name]
        elif room > 0:
            by_property[name] = column_name(name)
            room -= 1
        else:
            by_property[name] = None
    return Columns(by_property)


def column_name(name: str) -> str:
    """The column of a property; a function of its name alone."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "property"
    if not stem[0].isalpha():
        stem = f"p_{stem}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{stem[:54].rstrip('_')}_{digest}"

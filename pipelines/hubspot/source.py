"""The dlt source: what a round has read, as resources merged on their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.hubspot.definitions import KEYS

Tables = Callable[[], Iterator[pa.Table]]

_MERGE: Any = {
    "disposition": "merge",
    "strategy": "upsert",
    # The look-back reads records again; rows that are equal stay untouched.
    "skip_unchanged_rows": True,
}


@dlt.source(name="hubspot", max_table_nesting=0)
def hubspot(
    objects: Mapping[str, Tables],
    definitions: Mapping[str, pa.Table],
    new: Set[str] = frozenset(),
) -> Sequence[DltResource]:
    """Object types as parallel generators of Arrow tables; definitions as one each.

    Rows of the tables in `new` are in their table for certain not, each once: they
    are appended, at half the price of a merge. The caller has looked.
    """
    resources = [
        dlt.resource(
            tables(),  # dlt cannot wrap a bound method; a generator starts lazily
            name=name,
            primary_key="id",
            write_disposition="append" if name in new else _MERGE,
            parallelized=True,
        )
        for name, tables in objects.items()
    ]
    for name, rows in definitions.items():
        removable = "_removed" in rows.schema.names
        hints: Any = {"_removed": {"hard_delete": True}} if removable else None
        resources.append(
            dlt.resource(
                [rows],
                name=name,
                primary_key=KEYS[name],
                columns=hints,
                write_disposition="append" if name in new else _MERGE,
            )
        )
    return resources

"""What became of records that did not show up where they were expected.

Absence is not evidence: each id is asked for by name, live and archived, and only
HubSpot's own "not found" in both counts (hubspot_api.md 2.5, 11).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.columns import Columns
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.reading import batch_read
from pipelines.hubspot.records import Record, to_arrow


@dataclass
class Found:
    """Records of one type as HubSpot holds them now, and ids it no longer has.

    `erased`: not found live and not found archived, which is what a privacy deletion
    and the purge after 90 days leave. `missing`: HubSpot answered neither with the
    record nor with "not found".
    """

    live: list[Record] = field(default_factory=list)
    archived: list[Record] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def live_ids(self) -> list[str]:
        return [str(record["id"]) for record in self.live]

    @property
    def archived_ids(self) -> list[str]:
        return [str(record["id"]) for record in self.archived]

    @property
    def gone(self) -> list[str]:
        return self.archived_ids + self.erased + self.missing

    def add(self, other: Found) -> None:
        self.live += other.live
        self.archived += other.archived
        self.erased += other.erased
        self.missing += other.missing

    def tables(self, columns: Columns) -> Iterator[pa.Table]:
        if self.archived:
            yield to_arrow(self.archived, columns, "archived")
        if self.live:
            yield to_arrow(self.live, columns, "live")


def explain(
    client: HubSpot,
    object_type: ObjectType,
    properties: Sequence[str],
    ids: Collection[str],
) -> Found:
    """Ask HubSpot for each of `ids`: ⌈n/100⌉ calls, and as many for those not live.

    Raises PortalUnavailable where it does not answer; then nothing is decided.
    """
    if not ids:
        return Found()
    asked = set(ids)
    live, _ = batch_read(client, object_type, properties, sorted(asked))
    live = [record for record in live if str(record["id"]) in asked]
    rest = asked - {str(record["id"]) for record in live}
    if not rest:
        return Found(live=live)
    archived, gone = batch_read(
        client, object_type, properties, sorted(rest), archived=True
    )
    archived = [record for record in archived if str(record["id"]) in rest]
    rest -= {str(record["id"]) for record in archived}
    return Found(
        live=live,
        archived=archived,
        erased=sorted(rest & gone),
        missing=sorted(rest - gone),
    )

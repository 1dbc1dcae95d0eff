"""Count audit: HubSpot's totals per bucket of the modified date against our own.

A missed update shows as one bucket less and another more, a hard delete as one less,
a missed create as one more. Only buckets that differ are read. Two opposite errors in
one bucket hide each other; the edges move by a random part of a day each time, so they
do not stay hidden (extraction.md 3e).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.objects import ObjectType
from pipelines.hubspot.reading import count, modified_between

SMALL = 1_000  # records: a differing bucket of this size is read, a larger one halved
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_NARROW = timedelta(seconds=1)

OurCounts = Callable[[list[datetime]], list[int]]


def edges(oldest: datetime, until: datetime) -> list[datetime]:
    """Hours of the last day, days of the last month, months before: about 115."""
    shift = timedelta(seconds=random.uniform(0, 86_400))
    found = [until - timedelta(hours=hour) for hour in range(24)]
    found += [until - shift - timedelta(days=day) for day in range(1, 31)]
    moment = until - shift - timedelta(days=60)
    for _ in range(60):
        if moment <= oldest:
            break
        found.append(moment)
        moment -= timedelta(days=30)
    return [_BEGINNING, *sorted(e for e in found if e > _BEGINNING)]


def differing(
    client: HubSpot,
    object_type: ObjectType,
    ours: OurCounts,
    oldest: datetime,
    until: datetime,
) -> list[tuple[datetime, datetime]]:
    """Windows in which HubSpot counts another number of live records than we do.

    Raises HubsyncError where HubSpot does not answer; then nothing is decided.
    """
    bounds = edges(oldest, until)
    todo = list(zip(bounds, bounds[1:], ours(bounds), strict=False))
    found: list[tuple[datetime, datetime]] = []
    while todo:
        low, high, stored = todo.pop()
        theirs = count(
            client,
            object_type,
            modified_between(object_type, milliseconds(low), milliseconds(high)),
        )
        if theirs == stored:
            continue
        if max(theirs, stored) <= SMALL or high - low <= _NARROW:
            found.append((low, high))
            continue
        middle = low + (high - low) / 2
        first, second = ours([low, middle, high])
        todo += [(low, middle, first), (middle, high, second)]
    return found


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)

"""Whether the cost of a sync follows what changed, and not what there is.

Every size is a portal of its own: contacts, a tenth as many companies, two deals a
company. Per engine: a first load, then a sync after nothing, a thousandth, a thousand
records and a tenth of the contacts changed, each a `hubsync sync` of its own. The sizes
take turns, so that a machine that slows down in between slows all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Measured, databases, sync, workplace
from bench.portal import TOKEN, Served, portal
from bench.results import report, table

COMPANIES = 0.1  # per contact
LOAD = ("definitions", "read and load", "associations", "archive")
THOUSAND = "1,000 changed"
TURNS = 3  # of the thousand, whose ratio counts; the middle one stands
CHANGES: dict[str, Callable[[int], int]] = {
    "unchanged": lambda size: 0,
    "0.1 % changed": lambda size: size // 1000,
    THOUSAND: lambda size: 1000,
    "10 % changed": lambda size: size // 10,
}

# By engine, size and what was changed; of each as many as there were turns.
Found = dict[str, dict[int, dict[str, list[Measured]]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="10000,100000", help="contacts")
    parser.add_argument("--engines", default="duckdb,postgres")


@dataclass
class Place:
    """A size's portal, and the environment of a loaded hubsync per engine."""

    size: int
    served: Served
    environments: dict[str, dict[str, str]]


def run(given: argparse.Namespace, page: Path | None) -> None:
    sizes = sorted(int(size) for size in given.sizes.split(","))
    engines = given.engines.split(",")
    found: Found = {engine: {size: {} for size in sizes} for engine in engines}
    with ExitStack() as stack:
        places = [_place(stack, size, engines) for size in sizes]
        for place in places:
            _sync("first load", place, found)
        for label, changes in CHANGES.items():
            for _ in range(TURNS if label == THOUSAND else 1):
                for place in places:
                    if count := changes(place.size):
                        place.served.change(count)
                    _sync(label, place, found)
            # After each label: a run of an hour that is cut off keeps what it has.
            shown = (_shown(engine, each) for engine, each in found.items())
            report("scale", "\n\n".join(shown), page)


def _place(stack: ExitStack, size: int, engines: Sequence[str]) -> Place:
    served = stack.enter_context(portal("example", size, round(size * COMPANIES)))
    at = stack.enter_context(databases(engines))
    return Place(
        size,
        served,
        {
            engine: stack.enter_context(
                workplace(engine, at[engine], served.url, TOKEN)
            )
            for engine in engines
        },
    )


def _sync(label: str, place: Place, found: Found) -> None:
    """With every engine, of the same changes."""
    for engine, environment in place.environments.items():
        one = sync(environment)
        found[engine][place.size].setdefault(label, []).append(one)
        print(
            f"{engine}, {place.size:,}: {label}: {one.seconds:.1f} s, "
            f"{one.cpu:.1f} s CPU, the server's {one.server_cpu:.1f}, "
            f"{one.peak_mb:,.0f} MB; {one.steps}",
            flush=True,
        )


def _middle(turns: Sequence[Measured]) -> Measured:
    return sorted(turns, key=lambda one: one.seconds)[len(turns) // 2]


def _shown(engine: str, turns: dict[int, dict[str, list[Measured]]]) -> str:
    sizes = {
        size: {label: _middle(each) for label, each in done.items()}
        for size, done in turns.items()
    }
    header = [
        *(f"{engine}: contacts", "sync after", "seconds", "load", "transform"),
        *("publish", "CPU", "server CPU", "peak MB"),
    ]
    rows = [
        [
            *(f"{size:,}", label, f"{one.seconds:.1f}"),
            f"{sum(one.steps.get(step, 0.0) for step in LOAD):.1f}",
            *(f"{one.steps.get(step, 0.0):.1f}" for step in ("transform", "publish")),
            *(f"{one.cpu:.1f}", f"{one.server_cpu:.1f}", f"{one.peak_mb:,.0f}"),
        ]
        for size, done in sizes.items()
        for label, one in done.items()
    ]
    lines = [table(header, rows), "", *_ratios(sizes)]
    return "\n".join(lines)


def _ratios(sizes: dict[int, dict[str, Measured]]) -> Sequence[str]:
    """How a thousand changes cost more the more there is around them."""
    measured = [size for size, done in sizes.items() if THOUSAND in done]
    if not measured:
        return []
    smallest, *larger = measured
    small = sizes[smallest][THOUSAND]
    return [
        f"1,000 changes among {size:,} contacts to those among {smallest:,}: "
        f"{large.seconds / small.seconds:.2f} of the whole sync's time, "
        f"{sum(large.steps.values()) / sum(small.steps.values()):.2f} without the "
        "start of the process, "
        f"{(large.cpu + large.server_cpu) / (small.cpu + small.server_cpu):.2f} of CPU."
        for size in larger
        for large in [sizes[size][THOUSAND]]
    ]

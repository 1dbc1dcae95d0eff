"""Whether the cost of a sync follows what changed, and not what there is.

Every size is a portal of its own: contacts, a tenth as many companies, two deals a
company. Per engine: a first load, then a sync after nothing, a thousandth, a thousand
records and a tenth of the contacts changed, each a `hubsync sync` of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.machine import Measured, databases, sync, workplace
from bench.portal import TOKEN, Served, portal
from bench.results import report, table

COMPANIES = 0.1  # per contact
LOAD = ("definitions", "read and load", "associations", "archive")
THOUSAND = "1,000 changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="10000,100000", help="contacts")
    parser.add_argument("--engines", default="duckdb,postgres")


def run(given: argparse.Namespace, page: Path | None) -> None:
    sizes = sorted(int(size) for size in given.sizes.split(","))
    found: dict[str, dict[int, dict[str, Measured]]] = {}
    for size in sizes:
        with (
            portal("example", size, round(size * COMPANIES)) as served,
            databases(given.engines.split(",")) as at,
        ):
            for engine, database in at.items():
                with workplace(engine, database, served.url, TOKEN) as environment:
                    done = _steps(engine, size, served, environment)
                found.setdefault(engine, {})[size] = done
        # After each size: a run of hours that is cut off keeps what it has.
        report("scale", "\n\n".join(_shown(*each) for each in found.items()), page)


def _steps(
    engine: str, size: int, served: Served, environment: dict[str, str]
) -> dict[str, Measured]:
    done = {}
    for label, changes in (
        ("first load", None),
        ("unchanged", 0),
        ("0.1 % changed", size // 1000),
        (THOUSAND, 1000),
        ("10 % changed", size // 10),
    ):
        if changes:
            served.change(changes)
        done[label] = sync(environment)
        one = done[label]
        print(
            f"{engine}, {size:,}: {label}: {one.seconds:.1f} s, {one.cpu:.1f} s CPU, "
            f"the server's {one.server_cpu:.1f}, {one.peak_mb:,.0f} MB; {one.steps}",
            flush=True,
        )
    return done


def _shown(engine: str, sizes: dict[int, dict[str, Measured]]) -> str:
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
    smallest, *larger = sizes
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

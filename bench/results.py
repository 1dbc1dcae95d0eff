"""Tables of figures: on the terminal, and in docs/performance.md between markers."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.machine import ROOT

PAGE = ROOT / "docs" / "performance.md"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        padded = [first.ljust(widths[0])]
        padded += [c.rjust(w) for c, w in zip(others, widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def machine() -> str:
    """Cores, memory, versions and other work: what figures depend on, and nothing that
    names it. The load is an average of fifteen minutes; a bench makes two or three.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(
        f"{name} {version(package)}"
        for name, package in (("dlt", "dlt"), ("dbt", "dbt-core"), ("DuckDB", "duckdb"))
    )
    return (
        f"{os.cpu_count()} cores, wanted by {os.getloadavg()[2]:.0f} processes, "
        f"{memory:.0f} GiB; "
        f"Python {platform.python_version()}, {packages}."
    )


def report(name: str, text: str, page: Path | None) -> None:
    """Print it, and put it in the place of what `name` measured before."""
    print(f"\n{text}\n", flush=True)
    if page is None:
        return
    begin, end = f"<!-- bench {name} -->", f"<!-- end of bench {name} -->"
    before = page.read_text() if page.exists() else "# Performance\n"
    block = f"{begin}\n\n{text}\n\nOn {machine()}\n\n{end}"
    if begin in before:
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        after = re.sub(pattern, lambda _: block, before, flags=re.DOTALL)
    else:
        after = f"{before.rstrip()}\n\n{block}\n"
    page.write_text(after)
    print(f"In {page.name}.", flush=True)

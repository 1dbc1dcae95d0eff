"""What the benchmarks are measured with: their tables, and a portal of wide pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.portal import FILLED, Served, portal
from bench.results import report, table
from bench.wide import wide_portal
from sandbox import serve

CONTACTS = 250


@pytest.fixture(scope="module")
def wide() -> Iterator[Served]:
    with portal("wide", CONTACTS) as served:
        yield served


def test_a_table_replaces_its_predecessor_and_leaves_the_prose(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Speed\n\nBefore.\n\n<!-- bench a -->\nold\n<!-- end of bench a -->"
    )
    with page.open("a") as prose:
        prose.write("\n\nAfter.\n")
    for figure in ("1", "2"):
        report("a", table(["engine", "s"], [["duckdb", figure]]), page)
        report("b", "another", page)
    text = page.read_text()
    assert text.startswith("# Speed\n\nBefore.\n\n<!-- bench a -->\n\n| engine | s")
    assert "| duckdb | 2 |" in text
    assert "| duckdb | 1 |" not in text
    assert "old" not in text
    assert text.index("After.") < text.index("<!-- bench b -->")
    assert text.count("<!-- bench b -->") == 1


def test_a_wide_portals_pages_are_the_sandboxs_own(wide: Served) -> None:
    made, _ = wide_portal(CONTACTS)
    names = ",".join(made.live_properties("contacts"))
    params = {"limit": "100", "properties": names}
    with serve(made) as server:
        while True:
            pages = [
                wide.session.get(f"{url}/crm/v3/objects/contacts", params=params).json()
                for url in (server.url, wide.url)
            ]
            following = [page.pop("paging", {}).get("next", {}) for page in pages]
            assert pages[0] == pages[1]
            assert following[0].get("after") == following[1].get("after")
            if not following[0]:
                break
            params["after"] = following[0]["after"]
    filled = [v for v in pages[0]["results"][0]["properties"].values() if v is not None]
    assert len(filled) >= FILLED


def test_a_wide_portal_refuses_what_hubspot_would(wide: Served) -> None:
    wide.ask("_sandbox/limits", {"enabled": True})
    url = f"{wide.url}/crm/v3/objects/contacts?limit=1"
    answers = [wide.session.get(url).status_code for _ in range(200)]
    assert answers == [200] * 190 + [429] * 10
    assert wide.ask("_sandbox/limits", {"enabled": False}) == {"refused": 10}
    assert wide.session.get(url).status_code == 200

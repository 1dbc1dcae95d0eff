"""The picture of the README, from the page of the demo.

python -m tests.report.screenshot .demo/report.html docs/report.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.report.browser import chromium


def main(page: str, picture: str) -> None:
    """Write the top of the page as people see it on a small laptop."""
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1000, "height": 1020})
        opened.goto(Path(page).absolute().as_uri())
        opened.wait_for_selector("body[data-ready]")
        # An answer, of whoever lost access last.
        name = opened.locator("#access .period:visible .who").first.inner_text()
        opened.locator("#query").fill(name)
        opened.locator("#answer").wait_for()
        opened.locator("#query").blur()
        opened.screenshot(path=picture)


if __name__ == "__main__":
    main(*sys.argv[1:])

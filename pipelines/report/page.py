"""The content as one HTML file that asks nothing of any network.

Every value is escaped by the template; what scripts read is compressed and in base64,
so that no name can end its element; and the policy names the hashes of our own script
and style, so that a browser runs nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.report.content import WORDS, Content

_FOLDER = Path(__file__).parent
_SHOWN = 8  # rows of a list before "show all"
_LISTED = 1_000  # rows that anybody would read; ops.findings and app have all


class _More:
    """What lists hold beyond the rows that are shown, as the template rendered it."""

    def __init__(self) -> None:
        self.lists: dict[str, str] = {}

    def keep(self, key: str, rows: str) -> str:
        self.lists[key] = str(rows)
        return ""


def render(content: Content) -> str:
    """The whole file."""
    script, style = _script(), _style()
    more = _More()
    template = _environment().get_template("page.html.jinja")
    page = template.render(
        content=content,
        status=content.status,
        headline=headline(content),
        policy=_policy(script, style),
        style=Markup(style),
        more=more,
        shown=_SHOWN,
        listed=_LISTED,
        words=WORDS,
    )
    data = {
        "customers": content.customers,
        "charts": content.charts,
        "more": more.lists,
    }
    # Last, because the lists are known only when the page has been rendered.
    end = f'<script type="text/plain" id="data">{_packed(data)}</script>\n'
    return f"{page}{end}<script>{script}</script>\n</body>\n</html>\n"


def headline(content: Content) -> list[dict[str, str]]:
    """The sentence on top, in parts: text, tone (good, wait, bad), where it leads."""
    parts = [_in_step(content)]
    waiting = len(content.waiting) + len(content.losses)
    if waiting:
        wait = "1 change waits" if waiting == 1 else f"{waiting:,} changes wait"
        parts.append({"text": f"{wait} for you", "tone": "wait", "href": "#waiting"})
    fix = content.to_fix
    if fix:
        text = (
            "1 record in HubSpot needs"
            if fix == 1
            else (f"{fix:,} records in HubSpot need")
        )
        parts.append({"text": f"{text} fixing", "tone": "wait", "href": "#fix"})
    if count := content.settings_to_fix:
        text = "1 setting needs" if count == 1 else f"{count:,} settings need"
        parts.append({"text": f"{text} a look", "tone": "wait", "href": "#fix"})
    if len(parts) == 1 and parts[0]["tone"] == "good":
        parts.append({"text": "nothing waits for you", "tone": "good", "href": ""})
    return parts


def _in_step(content: Content) -> dict[str, str]:
    last = content.last_sync
    bad = {"tone": "bad", "href": "#health"}
    if content.status["age_minutes"] is None:
        if last:
            return {**bad, "text": "Nothing is published yet: the last sync failed"}
        return {**bad, "text": "Nothing is published yet"}
    if last and last["status"] != "done":
        return {**bad, "text": "The last sync failed; the app is as it was before"}
    if not content.status["fresh"]:
        return {**bad, "text": "The app is out of date: no sync has published lately"}
    if content.reconciled and content.reconciled["differs"]:
        percent = content.reconciled["percent"]
        return {**bad, "text": f"The app is {percent} % in step with HubSpot"}
    if content.losses:
        return {**bad, "text": "HubSpot gave too few records; a part is held back"}
    return {"text": "Everything is in step", "tone": "good", "href": "#health"}


def sentence(content: Content) -> str:
    """The headline as text."""
    return " · ".join(part["text"] for part in headline(content))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["instant"] = _instant
    environment.filters["iso"] = _iso
    environment.filters["seconds"] = _seconds
    return environment


@cache
def _script() -> str:
    return "\n".join(
        (_FOLDER / name).read_text(encoding="utf-8")
        for name in ("vendor/uplot/uPlot.iife.min.js", "page.js")
    )


@cache
def _style() -> str:
    return "\n".join(
        (_FOLDER / name).read_text(encoding="utf-8")
        for name in ("vendor/uplot/uPlot.min.css", "page.css")
    )


def _policy(script: str, style: str) -> str:
    """No request at all, and no script or style but these two."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _packed(data: dict[str, Any]) -> str:
    # Level 9 takes ten times as long as 5, and saves a tenth of the bytes.
    return base64.b64encode(zlib.compress(orjson.dumps(data), 5)).decode()


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _instant(moment: datetime) -> str:
    """For readers without scripts; with them it is their own clock's time."""
    return f"{moment.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def _seconds(value: float | None) -> str:
    """A duration as people say it."""
    if value is None:
        return "–"
    if value < 100:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.0f} h"

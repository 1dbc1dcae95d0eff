"""One portal with everything a report tells, synced once per engine for all tests.

Its names are the worst that people and attackers type. What a sync cannot make today,
changes of days ago, is added to the database by hand.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from pipelines import report
from pipelines.cli import main
from pipelines.warehouse import Warehouse
from sandbox import Portal, serve
from tests.conftest import Databases
from tests.report.browser import chromium

PWN = "document.body.dataset.pwned='yes'"
HOSTILE = (
    f"<script>{PWN}</script>",
    f'</script><img src=x onerror="{PWN}">',
    "\"'><b>Söhne & 'Co' {{ 7 * 7 }} ${7*7}",
    "شركة الأمل \u202eنوع\u202c للتجارة",
    "🦄👩‍👩‍👧 Ünïcorn 😕",
    "X" * 500,
)
STAGE = f'Won <script>{PWN}</script> "ein" für 🦄'
PIPELINE = f"Pipe <script>{PWN}</script> \u202eevil"
STATUS = f'<img src=x onerror="{PWN}">'
LOST_DAYS_AGO = (2, 12)


@dataclass
class Story:
    """What happened in HubSpot, and where the page about it is."""

    warehouse: Warehouse
    environment: dict[str, str]
    page: Path
    printed: list[str] = field(default_factory=list)  # by each sync
    churned: dict[str, str] = field(default_factory=dict)  # held: id -> hostile name
    won: str = ""  # the customer that gained access
    deal: str = ""  # by this one
    lost: dict[str, int] = field(default_factory=dict)  # id -> days ago
    unmapped: str = ""  # the customer with a status that policy does not know
    merged: tuple[str, str] = ("", "")  # survivor, merged away

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(sql, parameters)

    def write(self, path: Path) -> str:
        """The page as `hubsync report` writes it now."""
        report.write(self.warehouse, path)
        return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def duckdb_story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("duckdb")
    environment = {
        "HUBSYNC_TARGET": "duckdb",
        "HUBSYNC_DUCKDB": str(folder / "hubsync.duckdb"),
    }
    with _told(environment, folder) as story:
        yield story


@pytest.fixture(scope="session")
def postgres_story(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    databases.drop(databases.name)
    environment = {"HUBSYNC_TARGET": "postgres", **databases.create(databases.name)}
    with _told(environment, tmp_path_factory.mktemp("postgres")) as story:
        # Tests are given a database of that name.
        environment["PGDATABASE"] = databases.put_aside(databases.name)
        yield story
    databases.drop(environment["PGDATABASE"])


@pytest.fixture(params=["duckdb", "postgres"])
def story(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Story:
    """After two syncs, the second of which holds changes; on each engine."""
    told: Story = request.getfixturevalue(f"{request.param}_story")
    for name, value in told.environment.items():
        monkeypatch.setenv(name, value)
    return told


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@contextmanager
def _told(environment: dict[str, str], folder: Path) -> Iterator[Story]:
    portal = Portal.example(companies=40, seed=1)
    portal.limits.enabled = True  # so that HubSpot says what a day allows
    portal.limits.per_ten_seconds = portal.limits.search_per_second = 5_000
    portal.limits.associations_per_ten_seconds = 5_000
    with pytest.MonkeyPatch.context() as patch, serve(portal, port=0) as server:
        patch.setenv("SOURCES__HUBSPOT__BASE_URL", server.url)
        patch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", portal.token)
        patch.setenv("SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS", "5000")
        patch.setenv("SOURCES__HUBSPOT__SEARCHES_PER_SECOND", "500")
        for name, value in environment.items():
            patch.setenv(name, value)
        story = Story(
            Warehouse.from_environment(), environment, folder / "hubsync-report.html"
        )
        # A page that cannot be written: the sync is done all the same.
        patch.setenv("HUBSYNC_REPORT", str(folder / "nowhere" / "report.html"))
        story.printed.append(_sync(expected=0))
        # HubSpot's clock has whole seconds; what is no later than the first
        # publication is no edit that anything waited for.
        time.sleep(1.1)
        _work_in_hubspot(story, portal)
        patch.setenv("HUBSYNC_REPORT", str(story.page))
        story.printed.append(_sync(expected=3))
        _add_the_past(story)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        story.write(folder / "page.html")  # with the past
    yield story


def _sync(expected: int) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["sync"]) == expected
    return printed.getvalue()


def _work_in_hubspot(story: Story, portal: Portal) -> None:
    """Seven churns, more than may pass; a won deal, a merge, and bad values."""
    paying = [
        str(row[0])
        for row in story.rows(
            "select access.customer_id from app.access "
            "join app.customers on customers.customer_id = access.customer_id "
            "where access.is_enabled and reason_code = 'SUBSCRIPTION_ACTIVE' "
            "and record_state = 'live' order by access.customer_id"
        )
    ]
    ((story.won,),) = story.rows(
        "select min(access.customer_id) from app.access "
        "join app.customers on customers.customer_id = access.customer_id "
        "where reason_code = 'NO_SUBSCRIPTION' and record_state = 'live'"
    )
    today = datetime.now(UTC).date()
    for id, name in zip(paying, (*HOSTILE, "Plain Seven"), strict=False):
        story.churned[id] = name
        portal.update(
            "companies",
            id,
            {
                "name": name,
                "customer_status": "churned",
                "churn_date": today.isoformat(),
            },
        )
    story.unmapped = paying[7]
    portal.update("companies", story.unmapped, {"customer_status": STATUS})
    stages = portal.pipelines["deals"]["default"]["stages"]
    portal.update_pipeline(
        "deals",
        "default",
        {
            "stages": [
                {**stage, "label": STAGE} if stage["id"] == "closedwon" else stage
                for stage in stages
            ]
        },
    )
    portal.update_pipeline(
        "deals", "odd", {"label": PIPELINE, "stages": [{"id": "odd_open"}]}
    )
    story.deal = str(
        portal.create(
            "deals",
            {
                "dealname": HOSTILE[0],
                "pipeline": "default",
                "dealstage": "closedwon",
                "closedate": f"{today}T00:00:00Z",
                "contract_start_date": today.isoformat(),
                "contract_end_date": (today + timedelta(days=365)).isoformat(),
            },
        )
    )
    portal.associate("deals", story.deal, "companies", story.won)
    portal.update(
        "companies",
        paying[8],
        {
            "app_access_override": "grant",
            "app_access_override_until": (today + timedelta(days=5)).isoformat(),
        },
    )
    kept = portal.merge("companies", paying[10], paying[11])
    gone = paying[11] if str(kept) == paying[10] else paying[10]
    story.merged = (str(kept), gone)


def _add_the_past(story: Story) -> None:
    """Two customers lost access days ago, for a reason that is only of this portal."""
    ids = story.rows(
        "select access.customer_id from app.access "
        "join app.customers on customers.customer_id = access.customer_id "
        "where not is_enabled and record_state = 'live' "
        "and reason_code = 'SUBSCRIPTION_ENDED' order by access.customer_id limit 2"
    )
    for number, ((id,), days) in enumerate(zip(ids, LOST_DAYS_AGO, strict=True)):
        story.lost[str(id)] = days
        with story.warehouse.connect() as connection:
            connection.execute(
                "insert into app.access_events (event_id, customer_id, run_id, "
                "occurred_at, from_level, to_level, from_enabled, to_enabled, "
                "reason_code, evidence) select (select max(event_id) from "
                "app.access_events) + 1, customer_id, ?, ?, 'team', 'none', true, "
                "false, 'OUR_OWN_SIGNAL', evidence from app.access "
                "where customer_id = ?",
                (f"past-{number}", datetime.now(UTC) - timedelta(days=days), id),
            )

"""`make demo`: a HubSpot of our own, two syncs, and the story between them.

Everything is real but the portal's owner: HTTP, dlt, dbt, and the same `hubsync sync`
that a scheduler calls. Run by `python -m sandbox.demo`; no token, no server needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.panel import Panel

from sandbox import Portal, serve

COMPANIES = 200
FOLDER = Path(".demo")
DATABASE = FOLDER / "hubsync.duckdb"
REPORT = FOLDER / "report.html"

_REASONS = {
    "STATUS_CHURNED": "their company is marked as churned",
    "SUBSCRIPTION_ACTIVE": "a subscription of theirs is in force",
}


class Story:
    """What is told, and what the app's database says about it."""

    def __init__(self) -> None:
        self.console = Console(
            markup=False, emoji=False, highlight=False, soft_wrap=True
        )
        self.started = time.monotonic()

    def chapter(self, title: str) -> None:
        if self.console.is_terminal:
            self.console.print()
            self.console.print(Panel(title, expand=False, style="bold cyan"))
        else:
            self.console.print(f"\n== {title} ==")

    def tell(self, text: str) -> None:
        self.console.print(text)

    def ask(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        """Rows of the app's database; opened only between syncs."""
        with duckdb.connect(str(DATABASE), read_only=True) as connection:
            return connection.execute(query, parameters).fetchall()


def main() -> int:
    """Play the demo. 0 when the app followed HubSpot in every point of the story."""
    story = Story()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    portal = Portal.example(companies=COMPANIES, seed=1)
    with serve(portal, port=0) as server:
        story.chapter(
            f"A HubSpot portal with {COMPANIES} companies runs at {server.url}"
        )
        story.tell("First sync: everything is read, typed, tested and published.\n")
        first = _sync(server)
        if first is None:
            return 1
        enabled, customers = story.ask(
            "select count(*) filter (where is_enabled), count(*) from app.access"
        )[0]
        story.tell(f"\n{customers} customers are in app, {enabled} may log in.")

        story.chapter("Meanwhile, four people work in HubSpot")
        changes = _work_in_hubspot(story, portal)

        story.chapter("Second sync: only what changed")
        second = _sync(server)
        if second is None:
            return 1

    story.chapter("What the app knows now")
    followed = all([_told(story, change) for change in changes])
    followed &= _nobody_else(story, changes)
    story.tell(
        f"\nThe first sync took {first} API calls, the second {second}. "
        f"All of this took {time.monotonic() - story.started:.0f} seconds."
    )
    story.tell(
        f"""
The page for the operations team is {REPORT}: open it in a browser.
The database is {DATABASE}. Look around, for example with
  .venv/bin/python -c "import duckdb; duckdb.connect('{DATABASE}').sql('…').show()"

  select * from app.access where not is_enabled           -- who may not log in, why
  select * from app.access_events order by event_id desc  -- every change of access
  select * from ops.findings                              -- what needs a person

Next: `make test`, or your own HubSpot (README: With your own HubSpot)."""
    )
    return 0 if followed else 1


def _sync(server: Any) -> int | None:
    """Run `hubsync sync` as a scheduler would; API calls it made, None if it failed."""
    before: int = sum(server.calls.values())
    environment = {
        **os.environ,
        "SOURCES__HUBSPOT__BASE_URL": server.url,
        "SOURCES__HUBSPOT__ACCESS_TOKEN": server.portal.token,
        "HUBSYNC_DUCKDB": str(DATABASE.absolute()),
        "HUBSYNC_REPORT": str(REPORT.absolute()),
    }
    command = [sys.executable, "-m", "pipelines.cli", "sync", "--target", "duckdb"]
    sys.stdout.flush()
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        print(f"hubsync sync ended with exit code {done.returncode}.", file=sys.stderr)
        return None
    after: int = sum(server.calls.values())
    return after - before


def _work_in_hubspot(story: Story, portal: Portal) -> list[dict[str, Any]]:
    """A churn, a won deal, a merge and a move; each with what it should lead to."""
    today = datetime.now(UTC).date()
    paying = story.ask(
        "select access.customer_id, customers.name from app.access "
        "join app.customers using (customer_id) where access.is_enabled "
        "and access.reason_code = 'SUBSCRIPTION_ACTIVE' "
        "and customers.record_state = 'live' order by access.customer_id limit 4"
    )
    waiting = story.ask(
        "select access.customer_id, customers.name from app.access "
        "join app.customers using (customer_id) where not access.is_enabled "
        "and access.reason_code = 'NO_SUBSCRIPTION' "
        "and customers.record_state = 'live' order by access.customer_id limit 1"
    )
    churning, survivor, merged, moving = paying
    (winning,) = waiting
    portal.update(
        "companies",
        churning[0],
        {"customer_status": "churned", "churn_date": today.isoformat()},
    )
    story.tell(f"* Success marks {churning[1]} as churned.")

    deal = portal.create(
        "deals",
        {
            "dealname": f"{winning[1]}: Business plan",
            "pipeline": "default",
            "dealstage": "closedwon",
            "closedate": f"{today}T08:00:00Z",
            "amount": "12000",
            "contract_start_date": today.isoformat(),
            "contract_end_date": (today + timedelta(days=365)).isoformat(),
        },
    )
    portal.associate("deals", deal, "companies", winning[0])
    story.tell(f"* Sales wins a deal with {winning[1]}.")

    kept = portal.merge("companies", survivor[0], merged[0])
    story.tell(f"* Operations merges the duplicate {merged[1]} into {survivor[1]}.")

    portal.update(
        "companies",
        moving[0],
        {"address": "1 Harbour Street", "city": "Rotterdam", "zip": "3011 AA"},
    )
    story.tell(f"* {moving[1]} moves to 1 Harbour Street, Rotterdam.")
    return [
        {"kind": "access", "id": churning[0], "name": churning[1], "enabled": False},
        {"kind": "access", "id": winning[0], "name": winning[1], "enabled": True},
        {"kind": "alias", "id": merged[0], "name": merged[1], "kept": kept},
        {"kind": "address", "id": moving[0], "name": moving[1]},
    ]


def _told(story: Story, change: dict[str, Any]) -> bool:
    """Tell how the app followed one change. False where it did not."""
    tell = {"access": _tell_access, "alias": _tell_alias, "address": _tell_address}
    sentence = tell[change["kind"]](story, change)
    if sentence is None:
        story.tell(f"✗ {change['name']}: the app did not follow")
        return False
    story.tell(f"✓ {sentence}")
    return True


def _nobody_else(story: Story, changes: list[dict[str, Any]]) -> bool:
    """Whether access changed for the people of the story, and for nobody else."""
    rows = story.ask(
        "select distinct customer_id from app.access_events where run_id = "
        "(select max(run_id) from app.access_events) "
        "and coalesce(from_enabled, false) != to_enabled"
    )
    touched = {str(row[0]) for row in rows}
    meant = {change["id"] for change in changes if change["kind"] == "access"}
    if others := touched - meant:
        story.tell(f"✗ access also changed for {', '.join(sorted(others))}")
        return False
    story.tell("✓ nobody else's access changed")
    return True


def _tell_access(story: Story, change: dict[str, Any]) -> str | None:
    rows = story.ask(
        "select is_enabled, reason_code, evidence ->> 'property', "
        "evidence ->> 'value', evidence ->> 'hubspot_url' "
        "from app.access where customer_id = ?",
        change["id"],
    )
    if not rows or rows[0][0] != change["enabled"]:
        return None
    _, reason, name, value, url = rows[0]
    verb = "gained" if change["enabled"] else "lost"
    why = _REASONS.get(reason, "see the evidence")
    return (
        f"{change['name']} {verb} access: {reason}, {why}\n"
        f"    because {name} = {value} in {url}"
    )


def _tell_alias(story: Story, change: dict[str, Any]) -> str | None:
    rows = story.ask(
        "select customer_id from app.customer_aliases where alias_id = ?", change["id"]
    )
    if not rows or rows[0][0] != change["kept"]:
        return None
    return (
        f"{change['name']} lives on: what the app stored under {change['id']} "
        f"now resolves to {rows[0][0]}"
    )


def _tell_address(story: Story, change: dict[str, Any]) -> str | None:
    rows = story.ask(
        "select address, zip, city from app.customers where customer_id = ?",
        change["id"],
    )
    if not rows or rows[0][0] != "1 Harbour Street":
        return None
    return f"{change['name']} has its new address: {', '.join(map(str, rows[0]))}"


if __name__ == "__main__":
    sys.exit(main())

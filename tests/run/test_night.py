"""Hours of HubSpot's time in the resident sync: edits, faults, outages, one process.

The suite lives through half an hour of it. The whole of it, twelve hours and 2,000
edits on each engine, is `make test-deep` (or `HUBSYNC_TEST_HOURS=12`): with a sync per
ten minutes of HubSpot's time it takes as long as 72 syncs, and writes down its figures
in `target/night-ENGINE.json`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from sandbox.faults import TRANSIENT
from tests.conftest import Databases
from tests.extract.conftest import Differences, differences
from tests.run.conftest import Hubsync, query
from tests.run.test_alerts import Receiver, receiver
from tests.run.test_decisions import with_access

__all__ = ["differences", "receiver"]  # fixtures of other folders, used here too

HOURS = float(os.environ.get("HUBSYNC_TEST_HOURS", "0.5"))
EDITS_AN_HOUR = 2_000 / 12
BETWEEN = timedelta(minutes=10)
OUTAGES = (0.3, 0.31, 0.55, 0.8)  # when HubSpot answers nothing, as shares of the night
LEAVING = 4  # customers in the night: fewer than the breaker would hold
WARM = 6  # runs until everything is loaded that stays
NOISE = 1.05, 15 * 2**20  # of resident memory: a share, and bytes


class People:
    """Who work in HubSpot all night."""

    def __init__(self, portal: Portal, leaving: list[str], seed: int) -> None:
        self.portal = portal
        self.leaving = leaving
        self.gone: set[str] = set()
        self.edits: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._number = 0

    def work(self, edits: int) -> None:
        kinds: dict[Callable[[], bool], int] = {
            self._edit: 80,
            self._create: 8,
            self._link: 5,
            self._cut: 2,
            self._archive: 1,
            self._restore: 2,
            self._merge: 1,
            self._erase: 1,
        }
        done = 0
        while done < edits:
            (kind,) = self._random.choices(list(kinds), list(kinds.values()))
            if kind():
                self.edits[kind.__name__.strip("_")] += 1
                done += 1

    def leave(self) -> None:
        if self.leaving:
            customer = self.leaving.pop()
            self.gone.add(customer)
            self.portal.update("companies", customer, {"customer_status": "churned"})
            self.edits["churn"] += 1

    def _one(self, kind: str) -> str:
        return self._random.choice(self.portal.live_ids(kind))

    def _edit(self) -> bool:
        kind = self._random.choice(["companies", "contacts", "contacts", "deals"])
        name = {"companies": "city", "contacts": "jobtitle", "deals": "description"}
        self._number += 1
        self.portal.update(kind, self._one(kind), {name[kind]: f"n {self._number}"})
        return True

    def _create(self) -> bool:
        self._number += 1
        email = f"night-{self._number}@example.com"
        contact = self.portal.create("contacts", {"email": email})
        company = self._one("companies")
        self.portal.associate("contacts", contact, "companies", company)
        return True

    def _link(self) -> bool:
        ends = self._one("contacts"), self._one("companies")
        self.portal.associate("contacts", ends[0], "companies", ends[1])
        return True

    def _cut(self) -> bool:
        links = [e for e in sorted(self.portal.edges()) if e[0] == "contacts"]
        self.portal.dissociate(*self._random.choice(links)[:4])
        return True

    def _archive(self) -> bool:
        self.portal.archive("contacts", self._one("contacts"))
        return True

    def _restore(self) -> bool:
        archived = self.portal.archived_ids("contacts")
        if archived:
            self.portal.restore("contacts", self._random.choice(archived))
        return bool(archived)

    def _merge(self) -> bool:
        first, second = self._one("contacts"), self._one("contacts")
        if first != second:
            self.portal.merge("contacts", first, second)
        return first != second

    def _erase(self) -> bool:
        self.portal.privacy_delete("contacts", self._one("contacts"))
        return True


class Alerts:
    """Which alerts those outcomes may send: one per change of state."""

    def __init__(self) -> None:
        self.expected: list[str] = []
        self._failed = False
        self._held: str | None = None

    def after(self, outcome: dict[str, Any]) -> None:
        if outcome.get("exit_code") == 75:
            return  # somebody else had the database; no failure of this one
        if "error" in outcome:
            if not self._failed:
                self.expected.append("failed")
            self._failed = True
            return
        plans = {row["plan_id"] for row in outcome["waiting"]}
        plan = next(iter(plans), None)
        if plan is not None and plan != self._held:
            self.expected.append("held")
        if self._failed or (self._held is not None and plan is None):
            self.expected.append("recovered")
        self._failed, self._held = False, plan


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(0)
def test_a_night_of_edits_and_faults_ends_exact_with_flat_memory_and_few_alerts(
    request: pytest.FixtureRequest,
    synced: Warehouse,
    portal: Portal,
    server: Server,
    differences: Differences,
    receiver: Receiver,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__ATTEMPTS", "3")
    people = People(portal, with_access(synced)[:LEAVING], seed=1)
    customers = set(people.leaving)
    rounds = round(HOURS * 3600 / BETWEEN.total_seconds())
    outages = {round(share * rounds) for share in OUTAGES}
    alerts, outcomes, resident = Alerts(), [], []
    portal.clock.advance(-HOURS * 3600)  # it ends today
    portal.faults.kinds, portal.faults.most_in_a_row = TRANSIENT, 2
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "run", "--every", "1s", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )

    def run() -> dict[str, Any]:
        """The next run's outcome, which people's work has gone on beside."""
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the process ended"
        outcome: dict[str, Any] = json.loads(line)
        outcomes.append(outcome)
        alerts.after(outcome)
        resident.append(memory(process.pid))
        return outcome

    faults = 0
    for number in range(rounds):
        faults += len(portal.faults.injected)
        portal.faults.injected.clear()
        out = number in outages
        portal.faults.rate = 1.0 if out else 0.02
        portal.faults.most_in_a_row = 10**9 if out else 2
        if synced.target == "postgres" and number % 24 == 10:
            kill_somebody(request.getfixturevalue("databases"))
        people.work(round(EDITS_AN_HOUR * HOURS / rounds))
        if number * LEAVING // rounds > (number - 1) * LEAVING // rounds:
            people.leave()
        run()
        portal.clock.advance(BETWEEN.total_seconds())
    faults += len(portal.faults.injected)
    portal.faults.clear()
    run()  # the one that was at work meanwhile
    # What only the daily checks can tell, links that were cut, is found within a day.
    portal.clock.advance(24 * 3600 + 60)
    for _ in range(2):
        last = run()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert "error" not in last

    found = differences(synced, portal)
    figures = {
        "engine": synced.target,
        "runs": len(outcomes),
        "failed runs": sum("error" in each for each in outcomes),
        "edits": sum(people.edits.values()),
        "edits by kind": dict(people.edits),
        "faults": faults,
        "calls": sum(each.get("api_calls", 0) for each in outcomes),
        "differences": len(found),
        "alerts": receiver.states,
        "alerts expected": alerts.expected,
        "resident MiB": [round(each / 2**20) for each in resident],
    }
    folder = Path(__file__).resolve().parents[2] / "target"
    folder.mkdir(exist_ok=True)
    path = folder / f"night-{synced.target}.json"
    path.write_text(json.dumps(figures, indent=1))

    assert found == []
    left = query(synced, "select customer_id from app.access where not is_enabled")
    assert {str(row[0]) for row in left} & customers == people.gone
    assert people.gone
    assert hubsync("reconcile").code == 0
    assert "failed" in alerts.expected
    assert receiver.states == alerts.expected
    if len(resident) > 4 * WARM:
        middle = max(resident[WARM : len(resident) // 2])
        assert max(resident[len(resident) // 2 :]) < middle * NOISE[0] + NOISE[1]


def kill_somebody(databases: Databases) -> None:
    """End every session of the sync, wherever it stands."""
    connection = psycopg2.connect(
        host=databases.superuser["PGHOST"],
        port=databases.superuser.get("PGPORT") or 5432,
        user=databases.superuser["PGUSER"],
        password=databases.superuser.get("PGPASSWORD"),
        dbname="postgres",
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s",
            (databases.role("sync"),),
        )
    connection.close()

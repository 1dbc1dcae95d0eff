"""What holds in every history: random people edit a random portal, and time passes.

Many customers live in one portal, so that one publication tells about all of them.
`make test-deep` tells many more histories, with every data test after each step.
"""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.transform.conftest import Database
from tests.transform.portal import Portal

HISTORIES = int(os.environ.get("HUBSYNC_TEST_EXAMPLES", "1"))
STEPS = 4

BEGIN = datetime(2026, 6, 15, 12, tzinfo=UTC)
CUSTOMERS = [f"c{number:02}" for number in range(60)]

# Said by someone: a status, a stage, a date, an override.
EXPLICIT = (
    "churn",
    "churn_later",
    "pause",
    "deny",
    "grant",
    "end",
    "annul",
    "lose_renewal",
    "unpaid",
    "cancel",
)
# What HubSpot no longer has, or what nobody can read any more.
ABSENT = (
    "archive_company",
    "miss_company",
    "archive_deal",
    "miss_deal",
    "unlink",
    "unknown_stage",
    "reopen",
    "unmapped_status",
    "forget_parent",
)
KIND = ("win_back", "calm", "restore", "rename", "upgrade", "subscribe", "adopt")
EVERYONE = ("merge", "mass_churn", "lose_pipelines", "rename_property", "all_as_it_was")
EDITS = EXPLICIT + ABSENT * 2 + KIND + EVERYONE

HOURS = (0, 1, 1, 23, 25, 24 * 15)


class History:
    """A portal and what people do to it. `touched` are the customers about whom anyone
    ever said something; merged and parent companies count as one family."""

    def __init__(self) -> None:
        self.portal = Portal()
        self.now = BEGIN
        self.family = {id: id for id in CUSTOMERS}
        self.touched: set[str] = set()
        self.cut: list[tuple[str, str, str, str, int, str | None]] = []
        self.pipelines = list(self.portal.pipelines)
        self.status_name = "customer_status"
        for number, id in enumerate(CUSTOMERS):
            self.portal.company(id)
            self.portal.deal(f"d-{id}", id)
            if number % 4 == 0:
                self.subscribe(id)
        for number in range(400):  # so that a few links fewer are no loss of the type
            self.portal.link("tickets", str(number), "companies", "c00")

    def put(self, kind: str, id: str, **values: Any) -> None:
        self.portal.put(kind, id, **values, _updated_at=self.now.isoformat())

    def day(self, days: int) -> str:
        return (self.now + timedelta(days=days)).date().isoformat()

    def root(self, id: str) -> str:
        while self.family[id] != id:
            id = self.family[id]
        return id

    def unite(self, one: str, other: str) -> None:
        both = {self.root(one), self.root(other)}
        if both & self.touched:
            self.touched |= both
        self.family[self.root(one)] = self.root(other)

    def edit(self, what: str, chance: random.Random) -> None:
        id = chance.choice(CUSTOMERS)
        if what in EVERYONE:
            getattr(self, what)(chance)
            return
        if self.portal.records["companies"][id]["_state"] == "merged":
            return
        if what in EXPLICIT:
            self.touched.add(self.root(id))
        getattr(self, what)(id, chance)

    def churn(self, id: str, chance: random.Random) -> None:
        self.put("companies", id, **{self.status_name: "churned"}, churn_date="")

    def churn_later(self, id: str, chance: random.Random) -> None:
        day = self.day(chance.choice([-1, 0, 1, 10]))
        self.put("companies", id, **{self.status_name: "churned"}, churn_date=day)

    def pause(self, id: str, chance: random.Random) -> None:
        self.put("companies", id, **{self.status_name: "paused"}, churn_date="")

    def calm(self, id: str, chance: random.Random) -> None:
        self.put("companies", id, **{self.status_name: "active"}, churn_date="")

    def override(self, id: str, effect: str, chance: random.Random) -> None:
        until = self.day(chance.choice([0, 1, 2, 20]))
        self.put(
            "companies",
            id,
            app_access_override=effect,
            app_access_override_until=chance.choice([until, until, ""]),
        )

    def deny(self, id: str, chance: random.Random) -> None:
        self.override(id, "deny", chance)

    def grant(self, id: str, chance: random.Random) -> None:
        self.override(id, "grant", chance)

    def end(self, id: str, chance: random.Random) -> None:
        day = self.day(chance.choice([-20, -14, -1, 0, 1, 30]))
        self.put("deals", f"d-{id}", contract_end_date=day)

    def annul(self, id: str, chance: random.Random) -> None:
        self.put("deals", f"d-{id}", dealstage="closedlost")

    def lose_renewal(self, id: str, chance: random.Random) -> None:
        self.portal.deal(
            f"r-{id}",
            id,
            pipeline="renewal",
            dealstage="renewal_lost",
            closedate=self.now.isoformat(),
        )

    def win_back(self, id: str, chance: random.Random) -> None:
        number = chance.randrange(1000)
        start = self.day(chance.choice([0, 1, -3]))
        self.portal.deal(f"w{number}-{id}", id, contract_start_date=start)

    def subscribe(self, id: str, chance: random.Random | None = None) -> None:
        self.put("subscriptions", f"s-{id}", hs_status="active")
        self.portal.link("subscriptions", f"s-{id}", "companies", id)

    def status(self, id: str, status: str) -> None:
        if f"s-{id}" in self.portal.records["subscriptions"]:
            self.put("subscriptions", f"s-{id}", hs_status=status)

    def unpaid(self, id: str, chance: random.Random) -> None:
        self.status(id, "unpaid")

    def cancel(self, id: str, chance: random.Random) -> None:
        self.status(id, "canceled")

    def unmapped_status(self, id: str, chance: random.Random) -> None:
        self.status(id, "dunning")

    def rename(self, id: str, chance: random.Random) -> None:
        self.put("companies", id, name=f"Name {chance.randrange(1000)}")

    def upgrade(self, id: str, chance: random.Random) -> None:
        sku = chance.choice(["STARTER", "TEAM", "ENTERPRISE"])
        self.put("line_items", f"l-{id}", hs_sku=sku)
        if not any(link[3] == f"l-{id}" for link in self.portal.links):
            self.portal.link("deals", f"d-{id}", "line_items", f"l-{id}", type_id=19)

    def leave(self, kind: str, id: str, state: str) -> None:
        if self.portal.records[kind][id]["_state"] == "live":
            before = list(self.portal.links)
            self.portal.gone(kind, id, state)
            self.cut += [link for link in before if link not in self.portal.links]

    def archive_company(self, id: str, chance: random.Random) -> None:
        self.leave("companies", id, "archived")

    def miss_company(self, id: str, chance: random.Random) -> None:
        self.leave("companies", id, "missing")

    def archive_deal(self, id: str, chance: random.Random) -> None:
        self.leave("deals", f"d-{id}", "archived")

    def miss_deal(self, id: str, chance: random.Random) -> None:
        self.leave("deals", f"d-{id}", "missing")

    def unlink(self, id: str, chance: random.Random) -> None:
        self.portal.unlink(f"d-{id}", id)

    def unknown_stage(self, id: str, chance: random.Random) -> None:
        self.put("deals", f"d-{id}", dealstage="nobody-knows")

    def reopen(self, id: str, chance: random.Random) -> None:
        self.put("deals", f"d-{id}", dealstage="contractsent")

    def restore(self, id: str, chance: random.Random) -> None:
        for kind, record in (("companies", id), ("deals", f"d-{id}")):
            if self.portal.records[kind][record]["_state"] in ("archived", "missing"):
                self.put(kind, record, _state="live")
        back = [link for link in self.cut if id in link or f"d-{id}" in link]
        self.portal.links += back
        self.cut = [link for link in self.cut if link not in back]

    def adopt(self, id: str, chance: random.Random) -> None:
        parent = chance.choice(CUSTOMERS)
        policy = chance.choice(["inherit", "inherit_if_none"])
        self.unite(id, parent)
        self.put("companies", id, hs_parent_company_id=parent, app_access_parent=policy)

    def forget_parent(self, id: str, chance: random.Random) -> None:
        name = chance.choice(["hs_parent_company_id", "app_access_parent"])
        self.put("companies", id, **{name: ""})

    def merge(self, chance: random.Random) -> None:
        companies = self.portal.records["companies"]
        live = [id for id in CUSTOMERS if companies[id]["_state"] == "live"]
        if len(live) < 2:
            return
        winner, loser = chance.sample(live, 2)
        self.unite(winner, loser)
        self.portal.merge(winner, loser)

    def mass_churn(self, chance: random.Random) -> None:
        for id in chance.sample(CUSTOMERS, 12):
            if self.portal.records["companies"][id]["_state"] != "merged":
                self.touched.add(self.root(id))
                self.churn(id, chance)

    def lose_pipelines(self, chance: random.Random) -> None:
        self.portal.pipelines = chance.choice([[], self.pipelines[:3]])

    def rename_property(self, chance: random.Random) -> None:
        self.name_status("renamed_status")

    def all_as_it_was(self, chance: random.Random) -> None:
        self.portal.pipelines = list(self.pipelines)
        self.name_status("customer_status")

    def name_status(self, name: str) -> None:
        before, self.status_name = self.status_name, name
        self.portal.properties["companies"].remove(before)
        self.portal.properties["companies"].append(name)
        for record in self.portal.records["companies"].values():
            record[name] = record.pop(before, "")


def events(database: Database) -> list[dict[str, Any]]:
    rows = database.rows("app.access_events")
    for row in rows:
        if isinstance(row["evidence"], str):
            row["evidence"] = json.loads(row["evidence"])
    return sorted(rows, key=lambda row: int(row["event_id"]))


def is_revoked(event: dict[str, Any]) -> bool:
    return bool(event["from_enabled"]) and not event["to_enabled"]


def is_counted(event: dict[str, Any]) -> bool:
    """By the breaker: not what ended at its own date."""
    return is_revoked(event) and "access_ended_at" not in event["evidence"]


def with_access(database: Database, now: datetime) -> int:
    rows = database.access("is_enabled", "access_until").values()
    return sum(on and (until is None or until > now) for on, until in rows)


def check_step(
    database: Database, history: History, step: int, seen: int, before: dict[str, Any]
) -> None:
    """The promises about one publication; `seen` events were there before it."""
    told = events(database)
    new = told[seen:]
    access = database.access("is_enabled", "access_level")

    changed = {id for id, now in access.items() if now != before.get(id)}
    assert sorted(event["customer_id"] for event in new) == sorted(changed), step

    replayed: dict[str, Any] = {}
    for event in told:
        id = event["customer_id"]
        assert replayed.get(id, (None, None)) == (
            event["from_enabled"],
            event["from_level"],
        )
        replayed[id] = (event["to_enabled"], event["to_level"])
    assert replayed == {id: now for id, now in access.items() if id in replayed}
    assert all(not access[id][0] for id in access.keys() - replayed.keys())

    for event in new:
        evidence = event["evidence"]
        assert evidence["object_type"], event
        assert evidence["object_id"], event
        if not is_revoked(event):
            continue
        family = history.root(event["customer_id"])
        assert family in history.touched, f"revoked by absence: {event}"
        check_evidence(history, event)


def check_evidence(history: History, event: dict[str, Any]) -> None:
    """What revoked is what HubSpot holds, said by someone; or a date that passed."""
    evidence = event["evidence"]
    if event["reason_code"] in ("UNKNOWN_HELD", "NO_SUBSCRIPTION"):
        id = event["customer_id"]
        record = history.portal.records["companies"][id]
        override = record.get("app_access_override") == "grant"
        assert override or "access_ended_at" in evidence, event
        return
    records = history.portal.records[evidence["object_type"]]
    value = records[evidence["object_id"]].get(evidence["property"])
    assert str(value)[:10].lower() == str(evidence["value"])[:10].lower(), event


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_in_every_history_access_follows_evidence_and_events_tell_it(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    history = History()
    database.publish(history.portal, now=history.now.isoformat())
    for step in range(STEPS):
        history.now += timedelta(hours=chance.choice(HOURS))
        for _ in range(chance.randint(5, 25)):
            history.edit(chance.choice(EDITS), chance)
        history.portal.links = list(dict.fromkeys(history.portal.links))
        before = database.access("is_enabled", "access_level")
        enabled = with_access(database, history.now)
        seen = len(events(database))
        # Whatever people do, it is no reason to stop publishing.
        database.publish(
            history.portal,
            now=history.now.isoformat(),
            tested=HISTORIES > 1 or step == STEPS - 1,
        )
        check_step(database, history, step, seen, before)
        told = events(database)
        in_this_run = sum(map(is_counted, told[seen:]))
        a_day_ago = history.now - timedelta(hours=24)
        in_a_day = sum(is_counted(e) and e["occurred_at"] > a_day_ago for e in told)
        assert in_this_run <= max(5, enabled * 2 // 100), step
        assert not in_this_run or in_a_day <= max(15, enabled * 5 // 100), step

    tables = ("app.access", "app.access_events", "app.customers", "app.subscriptions")
    after = {table: database.rows(table) for table in tables}
    database.publish(now=history.now.isoformat())
    assert {table: database.rows(table) for table in tables} == after

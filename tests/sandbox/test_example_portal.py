"""The example portal: the same every time, plausible, and awkward where promised."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox import Portal
from sandbox.awkward import LONGEST_TEXT

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TYPES = "companies contacts deals line_items products subscriptions tickets licenses"


@pytest.fixture(scope="module")
def example() -> Portal:
    return Portal.example(companies=100, seed=5, now=NOW)


def rows(portal: Portal, name: str) -> list[dict[str, Any]]:
    found = (portal.record(name, one) for one in portal.live_ids(name))
    return [one["properties"] for one in found if one]


def test_the_same_seed_gives_the_same_portal(example: Portal) -> None:
    twin = Portal.example(companies=100, seed=5, now=NOW)
    other = Portal.example(companies=100, seed=6, now=NOW)
    for name in TYPES.split():
        assert rows(twin, name) == rows(example, name)
    assert twin.edges() == example.edges()
    assert twin.owners == example.owners
    assert rows(other, "companies") != rows(example, "companies")


def test_there_are_about_five_contacts_and_two_deals_per_company(
    example: Portal,
) -> None:
    counts = {name: len(example.live_ids(name)) for name in TYPES.split()}
    assert 90 <= counts["companies"] <= 100
    assert 450 <= counts["contacts"] <= 500
    assert 150 <= counts["deals"] <= 250
    assert all(counts.values())
    more = Portal.example(companies=10, seed=5, now=NOW, contacts=120)
    assert 110 <= len(more.live_ids("contacts")) <= 120
    # Beginnings of every size work.
    for companies in (0, 1, 2, 7):
        Portal.example(companies=companies, seed=1).edges()


def test_most_customers_are_active_and_every_other_fate_occurs(
    example: Portal,
) -> None:
    companies = rows(example, "companies")
    status = Counter(one["customer_status"] for one in companies)
    assert status["active"] > len(companies) / 2
    assert status["paused"] > 0
    assert status["churned"] > 0
    overrides = {
        (one["app_access_override"], bool(one["app_access_override_until"]))
        for one in companies
    }
    assert overrides == {
        (None, False),
        ("grant", True),
        ("deny", True),
        ("grant", False),
    }
    stages = {(one["pipeline"], one["dealstage"]) for one in rows(example, "deals")}
    assert {
        ("default", "closedwon"),
        ("default", "closedlost"),
        ("renewal", "renewal_won"),
        ("renewal", "renewal_lost"),
        ("renewal", "renewal_open"),
    } <= stages
    assert {"active", "past_due", "canceled", "expired", "paused"} <= {
        one["hs_status"] for one in rows(example, "subscriptions")
    }
    assert {"STARTER", "TEAM", "BUSINESS", "ENTERPRISE"} <= {
        one["hs_sku"] for one in rows(example, "line_items")
    }


def test_contracts_in_force_are_in_force_whenever_this_runs() -> None:
    portal = Portal.example(companies=50, seed=1)
    today = datetime.now(UTC).date().isoformat()
    ends = [one["contract_end_date"] or "" for one in rows(portal, "deals")]
    assert sum(end > today for end in ends) > 10


def test_some_records_are_archived_merged_or_shared(example: Portal) -> None:
    merged = [one["hs_merged_object_ids"] for one in rows(example, "companies")]
    assert any(text and ";" in text for text in merged)  # by a merge with a new id
    assert any(text and ";" not in text for text in merged)
    assert example.archived_ids("contacts")
    assert example.archived_ids("deals")
    companies_of = Counter(
        edge[1]
        for edge in example.edges()
        if (edge[0], edge[2], edge[4]) == ("contacts", "companies", 279)
    )
    live = example.live_ids("contacts")
    assert max(companies_of.values()) > 1
    assert any(companies_of[one] == 0 for one in live)
    primaries = Counter(
        edge[1]
        for edge in example.edges()
        if (edge[0], edge[2], edge[4]) == ("contacts", "companies", 1)
    )
    assert max(primaries.values()) == 1
    # Parents, labels, and a label whose type differs per direction.
    assert {13, 14} <= {edge[4] for edge in example.edges()}
    labels = example.associations.labels["contacts", "companies"].values()
    assert "Billing contact" in [one.label for one in labels]
    assert all(one.mirror != one.key for one in labels)


def test_ids_are_shared_between_types_and_may_exceed_2_to_the_53(
    example: Portal,
) -> None:
    shared = set(example.live_ids("contacts")) & set(example.live_ids("companies"))
    assert shared
    assert all(int(one) > 2**53 for one in example.live_ids("line_items"))


def test_contacts_carry_awkward_names_and_values(example: Portal) -> None:
    names = list(example.live_properties("contacts"))
    assert len(names) >= 60
    assert {"Foo-Bar", "foo_bar", "select", "2fa_enabled"} <= set(names)
    long = [name for name in names if len(name) > 63]
    assert len({name[:63] for name in long}) < len(long)
    assert len({re.sub(r"\W", "_", name.lower()) for name in names}) < len(names)

    values = [
        value
        for one in rows(example, "contacts")
        for value in one.values()
        if value is not None
    ]
    text = "".join(values)
    assert max(map(len, values)) == LONGEST_TEXT
    assert "" in values
    assert "\0" not in text
    for piece in (
        "😀",
        "\x07",
        "<p onclick",
        "drop table",
        "9007199254740993",
        "1.5E7",
    ):
        assert piece in text
    assert any(";" in value for value in values)


def test_thousands_of_records_share_one_millisecond() -> None:
    portal = Portal.example(companies=400, seed=1, now=NOW)
    moments = Counter(one.updated for one in portal.tables["contacts"].live)
    assert moments.most_common(1)[0][1] > 300


def test_the_command_prints_what_to_copy_and_stops_when_told() -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--companies", "3"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        settings = dict(
            line.removeprefix("export ").strip().split("=", 1)
            for line in lines
            if line.startswith("export ")
        )
        url = settings["SOURCES__HUBSPOT__BASE_URL"]
        token = settings["SOURCES__HUBSPOT__ACCESS_TOKEN"]
        answer = requests.get(
            f"{url}/crm/objects/2026-09/companies",
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )
        assert len(answer.json()["results"]) == 3
        assert answer.headers["X-HubSpot-RateLimit-Max"] == "190"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert "Stopped after 1 API calls." in process.stdout.read()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

"""What a person sees of a held change, and decides, on the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime, time, timedelta

from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import ON_DUCKDB, Hubsync, app_rows, query

DAY = date(2020, 1, 1)
BY = ("--by", "Ann", "--reason", "the list is right")


def with_access(warehouse: Warehouse) -> list[str]:
    """Live customers whose access rests on a subscription."""
    rows = query(
        warehouse,
        "select access.customer_id from app.access as access "
        "inner join app.customers as customers "
        "on customers.customer_id = access.customer_id "
        "where access.is_enabled and customers.record_state = 'live' "
        "and access.reason_code = 'SUBSCRIPTION_ACTIVE' order by access.customer_id",
    )
    return [str(row[0]) for row in rows]


def enabled(warehouse: Warehouse) -> set[str]:
    rows = query(warehouse, "select customer_id from app.access where is_enabled")
    return {str(row[0]) for row in rows}


def churn(portal: Portal, customers: list[str], status: str = "churned") -> None:
    for customer in customers:
        portal.update("companies", customer, {"customer_status": status})


def waiting_plan(hubsync: Hubsync) -> str:
    """The id of the set that a sync found waiting."""
    outcome = hubsync("sync", "--json")
    assert outcome.code == 3, outcome.err
    plans = {row["plan_id"] for row in json.loads(outcome.out)["waiting"]}
    (plan,) = plans
    return str(plan)


def test_an_approved_set_is_revoked_with_its_approver_and_only_once(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    before = enabled(synced)
    leaving, edited = with_access(synced)[:6], with_access(synced)[7]
    churn(portal, leaving)
    portal.update("companies", edited, {"city": "Rotterdam"})

    outcome = hubsync("sync")
    assert outcome.code == 3, outcome.err
    assert enabled(synced) == before
    assert query(
        synced, "select city from app.customers where customer_id = ?", edited
    ) == [("Rotterdam",)], "only the class that is too large waits"
    assert "6 × BREAKER_REVOCATIONS_PER_RUN. 6 customers would lose" in outcome.out
    [plan] = re.findall(r"hubsync approve (\w+) --by", outcome.out)
    assert query(
        synced,
        "select exit_code, held, status from ops.sync_runs order by started_at desc "
        "limit 1",
    ) == [(3, 6, "done")]
    assert "6 changes since" in hubsync("status").out

    outcome = hubsync("approve", plan, *BY)
    assert outcome.code == 0, outcome.err
    assert enabled(synced) == before - set(leaving)
    assert query(
        synced,
        "select count(*), min(reason_code) from app.access_events "
        "where approved_by = 'Ann'",
    ) == [(6, "STATUS_CHURNED")]

    published = app_rows(synced)
    outcome = hubsync("approve", plan, *BY)
    assert outcome.code == 0, outcome.err
    assert "was approved by Ann" in outcome.out
    assert "nothing was done" in outcome.out
    assert app_rows(synced) == published


def test_an_approval_of_a_set_that_grew_releases_nothing_and_says_who_joined(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    before, some = enabled(synced), with_access(synced)
    churn(portal, some[:6])
    plan = waiting_plan(hubsync)
    churn(portal, some[6:7])
    outcome = hubsync("approve", plan, *BY)
    assert outcome.code == 3, outcome.err
    assert "has grown. Joined since" in outcome.err
    [(name,)] = query(
        synced, "select name from app.customers where customer_id = ?", some[6]
    )
    assert f"{name} (revoke, STATUS_CHURNED)" in outcome.err
    assert enabled(synced) == before

    outcome = hubsync("approve", plan, *BY)
    assert outcome.code == 2, "known to have grown, nothing is read from HubSpot"
    assert "the set has grown" in outcome.err
    # Void stays void, also when the set is as it was.
    churn(portal, some[6:7], "active")
    assert waiting_plan(hubsync) == plan
    assert enabled(synced) == before


@ON_DUCKDB
def test_a_decision_about_nothing_is_refused_and_what_is_rejected_takes_nothing(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    """That new evidence counts anew: tests/transform/test_breaker.py."""
    outcome = hubsync("approve", "abc", *BY)
    assert (outcome.code, "No change waits" in outcome.err) == (2, True)
    before = enabled(synced)
    churn(portal, with_access(synced)[:6])
    plan = waiting_plan(hubsync)
    outcome = hubsync("approve", "abc", *BY)
    assert outcome.code == 2
    assert f"There is no plan 'abc'. What waits now is plan {plan}" in outcome.err
    outcome = hubsync("reject", plan, "--by", " ", "--reason", "x")
    assert (outcome.code, "--by and --reason" in outcome.err) == (2, True)

    outcome = hubsync("reject", plan, *BY)
    assert outcome.code == 0, outcome.err
    assert "6 changes rejected by Ann" in outcome.out
    assert json.loads(hubsync("status", "--json").out)["waiting"] is None
    outcome = hubsync("sync")
    assert outcome.code == 0, outcome.err
    assert enabled(synced) == before

    outcome = hubsync("reject", plan, *BY)
    assert (outcome.code, "nothing was done" in outcome.out) == (0, True)


@ON_DUCKDB
def test_a_plan_is_a_spreadsheet_too(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    leaving = with_access(synced)[:6]
    churn(portal, leaving)
    outcome = hubsync("plan", "--csv")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert {row["customer_id"] for row in rows} == set(leaving)
    assert {row["held"] for row in rows} == {"True"}
    assert json.loads(rows[0]["evidence"])["value"] == "churned"
    # What a plan showed can be approved, without a sync in between.
    assert hubsync("approve", rows[0]["plan_id"], *BY).code == 0
    assert not enabled(synced) & set(leaving)


def test_why_tells_verdict_evidence_and_timeline_by_id_domain_or_name(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    (customer,) = with_access(synced)[:1]
    # Evidence tells whole seconds; not the one in which the first sync ended.
    edited_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    portal.clock.set(edited_at)
    churn(portal, [customer])
    portal.clock.run()
    # A plan tells the history too, and the sync after it need not ask again.
    [planned] = json.loads(hubsync("plan", "--json").out)["changes"]
    outcome = hubsync("sync", "--json")
    assert outcome.code == 0, outcome.err
    assert "history" not in json.loads(outcome.out)["calls"]
    answer = json.loads(hubsync("why", customer, "--json").out)
    assert answer["access"]["is_enabled_now"] is False
    evidence = answer["access"]["evidence"]
    assert evidence["property"] == "customer_status"
    assert (evidence["old_value"], evidence["value"]) == ("active", "churned")
    assert datetime.fromisoformat(evidence["changed_at"]) == edited_at
    assert evidence["changed_by"] == "9000001"
    assert planned["evidence"] == evidence
    assert [event["to_enabled"] for event in answer["timeline"]] == [True, False]
    assert answer["timeline"][-1]["published_at"]

    for asked in (answer["domain"], answer["name"].upper()):
        outcome = hubsync("why", asked)
        assert outcome.code == 0, outcome.err
        assert f"{answer['name']} (customer {customer}) has NO access" in outcome.out
        assert "STATUS_CHURNED (customer_status = churned" in outcome.out
        assert f"{customer}: customer_status 'active' → 'churned'" in outcome.out
        when = f"{edited_at:%Y-%m-%d %H:%M:%S} UTC by user 9000001"
        assert f"changed {when} (CRM_UI)" in outcome.out
        assert str(evidence["hubspot_url"]) in outcome.out

    outcome = hubsync("undo", "no-such-run", *BY)
    assert (outcome.code, "There is no run 'no-such-run'" in outcome.err) == (2, True)
    run_id = answer["timeline"][-1]["run_id"]
    assert run_id in outcome.err
    outcome = hubsync("undo", run_id, *BY)
    assert outcome.code == 0, outcome.err
    assert f"1 customer has the access again that it had before run {run_id}" in (
        outcome.out
    )
    outcome = hubsync("why", customer)
    assert f"(customer {customer}) has access: SUBSCRIPTION_ACTIVE" in outcome.out
    assert f"UNDONE (run {run_id}: the list is right)" in outcome.out
    assert "held, UNDONE: STATUS_CHURNED" in outcome.out
    outcome = hubsync("undo", run_id, *BY)
    assert (outcome.code, "Nothing was changed" in outcome.out) == (0, True)

    # From that edit to the end of the publication, measured.
    published = datetime.fromisoformat(answer["timeline"][-1]["published_at"])
    seconds = (published - edited_at).total_seconds()
    status = json.loads(hubsync("status", "--json").out)
    latency = status["latency"]
    assert latency["changes"] == 1
    [of_run] = [run["latency"] for run in status["runs"] if run["run_id"] == run_id]
    assert of_run["p95_seconds"] == latency["p95_seconds"]
    assert abs(latency["median_seconds"] - seconds) < 0.1
    assert f"median {seconds:,.0f} s" in hubsync("status").out

    outcome = hubsync("why", "e")
    assert (outcome.code, "customers answer to 'e'" in outcome.err) == (2, True)
    outcome = hubsync("why", "no such customer")
    assert (outcome.code, "No customer has the id" in outcome.err) == (2, True)


def test_who_came_back_and_left_again_loses_access_although_the_old_date_still_stands(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    left_again, came_back = with_access(synced)[:2]
    [(earliest,)] = query(
        synced, "select min(starts_on) from app.subscriptions where starts_on > ?", DAY
    )
    now = portal.clock.now()
    first_churn = datetime.combine(earliest, time(), UTC) - timedelta(days=30)
    first = {"customer_status": "churned", "churn_date": f"{first_churn:%Y-%m-%d}"}
    portal.clock.set(first_churn)
    for customer in (left_again, came_back):
        portal.update("companies", customer, first)
    portal.clock.set(first_churn + timedelta(days=20))
    churn(portal, [left_again], "active")
    portal.clock.set(max(now, datetime.now(UTC)))
    churn(portal, [left_again])
    portal.update("companies", came_back, {"city": "Elsewhere"})
    portal.clock.run()

    calls = []
    for expected in ({left_again, came_back}, {came_back}):
        outcome = hubsync("sync", "--json")
        assert outcome.code == 0, outcome.err
        assert enabled(synced) & {left_again, came_back} == expected
        calls.append(json.loads(outcome.out)["calls"].get("history", 0))
    assert calls == [1, 0], "what HubSpot told is not asked again"
    answer = json.loads(hubsync("why", left_again, "--json").out)
    assert answer["access"]["reason_code"] == "STATUS_CHURNED"
    assert answer["access"]["evidence"]["old_value"] == "active"

"""What may be applied without a person, what waits for one, and what releases it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from tests.transform.conftest import NOW, Database, failures
from tests.transform.portal import Portal

LATER = "2026-06-15T13:00:00Z"
TOMORROW = "2026-06-16T13:00:00Z"


def customers(portal: Portal, *ids: str) -> None:
    for id in ids:
        portal.company(id)
        portal.deal(f"d-{id}", id)


def numbered(count: int, start: int = 0) -> list[str]:
    return [f"{number:04}" for number in range(start, start + count)]


def churn(portal: Portal, *ids: str) -> None:
    for id in ids:
        portal.company(id, customer_status="churned")


def decide(database: Database, decision: str, now: str = NOW) -> str:
    """Store what `hubsync approve` and `reject` store of the set that waits."""
    database.run(
        "create table if not exists ops.approvals (plan_id text, decision text,"
        " decided_by text, reason text, decided_at timestamptz,"
        " expires_at timestamptz, used_at timestamptz)"
    )
    database.run(
        "create table if not exists ops.approval_changes (plan_id text,"
        " decided_at timestamptz, customer_id text, change_id text,"
        " lapsed_at timestamptz)"
    )
    waiting = (
        "select plan_id, customer_id, change_id from ops.access_plan"
        " where held and hold_reason not in ('REJECTED', 'UNDONE')"
        " union all select plan_id, null, change_id from ops.extract_guard"
        " where is_held and not is_rejected"
    )
    [(plan,)] = database.run(f"select distinct plan_id from ({waiting}) as waiting")
    ends = datetime.fromisoformat(now) + timedelta(hours=24)
    database.run(
        "insert into ops.approvals values (%s, %s, 'ann', 'agreed', %s, %s, null)",
        (plan, decision, now, ends.isoformat()),
    )
    database.run(
        "insert into ops.approval_changes select plan_id, cast(%s as timestamptz),"
        f" customer_id, change_id, null from ({waiting}) as waiting",
        (now,),
    )
    return str(plan)


def enabled(database: Database) -> set[str]:
    return {id for id, on in database.access("is_enabled").items() if on}


def held(database: Database) -> dict[str, str]:
    """Customer to the reason for which its change is held."""
    return dict(
        database.run("select customer_id, hold_reason from ops.access_plan where held")
    )


def findings(database: Database, *kinds: str) -> list[str]:
    """What they say."""
    rows = database.run("select kind, what_to_do from ops.findings")
    return [text for kind, text in rows if kind in (kinds or ("CHANGE_HELD",))]


def events(database: Database, customer: str) -> list[dict[str, Any]]:
    rows = [
        row
        for row in database.rows("app.access_events")
        if row["customer_id"] == customer
    ]
    for row in rows:
        if isinstance(row["evidence"], str):
            row["evidence"] = json.loads(row["evidence"])
    return sorted(rows, key=lambda row: int(row["event_id"]))


def test_sixty_of_a_thousand_wait_and_the_approved_set_is_revoked_exactly(
    database: Database, portal: Portal
) -> None:
    everyone = numbered(1000)
    churned, edited, late = everyone[:60], everyone[100:140], everyone[200]
    customers(portal, *everyone)
    database.publish(portal)
    assert enabled(database) == set(everyone), "an empty app is filled without asking"

    churn(portal, *churned)
    for id in edited:
        portal.company(id, name="Edited")
    database.load(portal)
    result = database.dbt("build", "--exclude-resource-type", "unit_test")
    assert result.success, failures(result)
    assert enabled(database) == set(everyone)
    assert held(database) == dict.fromkeys(churned, "BREAKER_REVOCATIONS_PER_RUN")
    [(published,)] = database.run(
        "select count(*) from app.customers where name = 'Edited'"
    )
    assert published == 40
    [sentence] = findings(database)
    assert "60 customers would lose access in this run; the limit is 20" in sentence
    plan = decide(database, "approved")
    assert plan in sentence

    churn(portal, late)
    database.publish(portal, now=LATER)
    assert enabled(database) == set(everyone), "the set grew: its approval is void"
    assert len(held(database)) == 61

    portal.company(late, customer_status="active")
    portal.company(churned[0], phone="an edit that decides nothing")
    database.publish(portal, now=LATER)
    assert enabled(database) == set(everyone) - set(churned)
    for id in churned:
        first, last = events(database, id)
        assert (first["approved_by"], last["approved_by"]) == (None, "ann")
        assert last["evidence"]["property"] == "customer_status"
    assert database.run("select count(used_at) from ops.approvals") == [(1,)]
    assert findings(database) == []

    before = database.rows("app.access"), database.rows("app.access_events")
    database.publish(now=LATER)
    assert database.rows("ops.access_plan") == []
    assert (database.rows("app.access"), database.rows("app.access_events")) == before

    # The approval is spent: another accident of the same size waits again.
    churn(portal, *everyone[300:360])
    database.publish(portal, now=LATER)
    assert len(held(database)) == 60


def test_a_drip_of_churns_trips_the_rolling_limit_and_only_that_class(
    database: Database, portal: Portal
) -> None:
    everyone = numbered(40)
    customers(portal, *everyone)
    database.publish(portal)
    for run in range(6):
        churn(portal, *everyone[3 * run : 3 * run + 3])
        if run == 5:
            customers(portal, "new")
        database.publish(portal, now=f"2026-06-15T1{run + 3}:00:00Z")
        assert len(enabled(database) - {"new"}) == 40 - 3 * min(run + 1, 5), run
    assert set(held(database).values()) == {"BREAKER_REVOCATIONS_PER_DAY"}
    assert "new" in enabled(database)
    [sentence] = findings(database)
    assert "after 15 in the 24 hours before" in sentence

    database.publish(now="2026-06-16T12:59:59Z")
    assert len(held(database)) == 3
    database.publish(now="2026-06-16T13:00:01Z")
    assert len(enabled(database)) == 40 - 18 + 1
    assert findings(database) == []


def test_a_small_portal_has_the_floor_and_grants_have_their_own_limit(
    database: Database, portal: Portal
) -> None:
    twelve = numbered(12)
    customers(portal, *twelve)
    database.publish(portal)
    churn(portal, *twelve[:2])
    customers(portal, *numbered(11, 100))
    database.publish(portal)
    assert enabled(database) == set(twelve[2:])
    assert held(database) == dict.fromkeys(numbered(11, 100), "BREAKER_GRANTS_PER_RUN")

    # One less is evidence gone: the hold clears itself, and nobody is asked.
    portal.deal("d-0100", dealstage="contractsent")
    database.publish(portal)
    assert enabled(database) == {*twelve[2:], *numbered(10, 101)}
    assert [row["from_level"] for row in events(database, "0101")] == [None]


def test_an_approval_lapses_after_a_day(database: Database, portal: Portal) -> None:
    everyone = numbered(12)
    customers(portal, *everyone)
    database.publish(portal)
    churn(portal, *everyone[:6])
    database.publish(portal)
    decide(database, "approved")
    database.publish(now="2026-06-16T12:00:00Z")
    assert enabled(database) == set(everyone)
    assert len(held(database)) == 6
    assert database.run("select count(used_at) from ops.approvals") == [(0,)]


def test_a_rejected_set_is_ignored_until_its_evidence_changes(
    database: Database, portal: Portal
) -> None:
    everyone = numbered(20)
    churned = everyone[:6]
    customers(portal, *everyone)
    database.publish(portal)
    churn(portal, *churned)
    database.publish(portal)
    decide(database, "rejected")
    portal.company(churned[0], phone="an edit that decides nothing")
    churn(portal, *everyone[6:11])
    database.publish(portal, now=LATER)
    assert held(database) == dict.fromkeys(churned, "REJECTED")
    assert enabled(database) == set(everyone) - set(everyone[6:11]), (
        "what was rejected counts in no limit"
    )
    assert findings(database) == []
    [sentence] = findings(database, "CHANGE_REFUSED")
    assert "6 changes of access are ignored, because a person rejected" in sentence

    # A record that is gone for a while has not changed its evidence.
    portal.company(churned[0], _state="missing")
    database.publish(portal, now=LATER)
    portal.company(churned[0], _state="live")
    portal.company(churned[1], customer_status="active")
    database.publish(portal, now=LATER)
    churn(portal, churned[1])
    database.publish(portal, now=LATER)
    still = [id for id in churned if id != churned[1]]
    assert held(database) == dict.fromkeys(still, "REJECTED")
    assert churned[1] not in enabled(database)

    # Whoever decides last is right.
    database.run("update ops.access_plan set hold_reason = 'CHOSEN_AGAIN'")
    decide(database, "approved", now=TOMORROW)
    database.publish(now=TOMORROW)
    assert not enabled(database) & set(churned)


def test_adopting_a_populated_app_changes_no_flag_until_approved(
    database: Database, portal: Portal
) -> None:
    ids = ("agreed", "wrongly-on", "wrongly-off", "wrong-level")
    customers(portal, *ids)
    database.publish(portal)
    # The same app, filled by someone else: no events, nothing that we remember.
    database.run("drop table app.access_events")
    database.run("drop schema ops cascade")
    database.run("drop view app.current_access")
    database.run("alter table app.access drop column evidence")
    database.run("update app.access set version = 7, reason_code = 'BY_HAND'")
    database.run(
        "update app.access set is_enabled = false, access_level = 'none'"
        " where customer_id = 'wrongly-off'"
    )
    database.run(
        "update app.access set access_level = 'team' where customer_id = 'wrong-level'"
    )
    churn(portal, "wrongly-on")
    customers(portal, "new")

    for _ in range(2):
        database.publish(portal)
        assert enabled(database) == {"agreed", "wrongly-on", "wrong-level"}
        assert database.access("access_level")["wrong-level"] == "team"
        assert held(database) == dict.fromkeys((*ids[1:], "new"), "FIRST_RUN")
    assert len(findings(database)) == 1
    decide(database, "approved")
    database.publish()
    assert enabled(database) == {"agreed", "wrongly-off", "wrong-level", "new"}
    assert database.access("access_level")["wrong-level"] == "starter"
    # Events rebuild access, of the customers that agreed as well.
    for id, now in database.access("access_level", "is_enabled").items():
        [event] = events(database, id)
        assert (event["to_level"], event["to_enabled"]) == now

    churn(portal, "agreed")
    database.publish(portal)
    assert "agreed" not in enabled(database), "from then on it is an app like any"


def test_a_type_that_lost_too_many_rows_holds_what_depends_on_it(
    database: Database, portal: Portal
) -> None:
    everyone = numbered(100)
    customers(portal, *everyone)
    portal.company("denied")
    portal.deal("d-denied", "denied")
    database.publish(portal)
    for id in everyone[:6]:
        portal.put("deals", f"d-{id}", _state="missing")
    database.publish(portal)
    assert findings(database, "EXTRACT_HELD") == [], "six of a hundred are no accident"
    assert held(database) == {}

    for id in everyone[:20]:
        portal.put("deals", f"d-{id}", _state="missing")
    churn(portal, "0050")
    portal.company(
        "denied", app_access_override="deny", app_access_override_until="2026-06-20"
    )
    database.publish(portal)
    [sentence] = findings(database, "EXTRACT_HELD")
    assert "HubSpot gave 81 deals instead of 95" in sentence
    assert set(held(database).values()) == {"EXTRACT_GUARD"}
    assert enabled(database) == set(everyone), "an override needs no deal"
    plan = database.run("select distinct plan_id from ops.extract_guard")

    # The loss is not forgotten by the next run, and an approval of it releases it.
    portal.deal("d-0020", dealname="Renamed")
    database.publish(portal)
    assert database.run("select distinct plan_id from ops.extract_guard") == plan
    assert "0050" in enabled(database)
    decide(database, "approved")
    database.publish()
    assert enabled(database) == set(everyone) - {"0050"}
    assert held(database) == {}
    database.publish()
    assert findings(database, "EXTRACT_HELD", "CHANGE_HELD") == []

    # An empty answer holds, and when the records are back nobody needs to approve.
    links, portal.links = portal.links, []
    churn(portal, "0060")
    database.publish(portal)
    [sentence] = findings(database, "EXTRACT_HELD")
    assert "HubSpot gave 0 associations" in sentence
    assert "0060" in enabled(database)
    portal.links = links
    database.publish(portal)
    assert findings(database, "EXTRACT_HELD") == []
    assert enabled(database) == set(everyone) - {"0050", "0060"}


def test_only_a_person_ends_the_access_of_a_protected_customer(
    database: Database, portal: Portal
) -> None:
    portal.properties["companies"].append("app_access_protected")
    customers(portal, "kept", "merged", "other", "winner")
    for id in ("kept", "merged"):
        portal.company(id, app_access_protected="true")
    database.publish(portal)
    portal.merge("winner", "merged")
    churn(portal, "kept", "winner", "other")
    database.publish(portal)
    assert held(database) == dict.fromkeys(("kept", "merged", "winner"), "PROTECTED")
    assert enabled(database) == {"kept", "merged", "winner"}
    assert len(findings(database)) == 3
    decide(database, "approved")
    database.publish()
    assert enabled(database) == set()


def test_access_that_would_end_earlier_is_guarded_and_what_lapsed_is_not(
    database: Database, portal: Portal
) -> None:
    everyone = numbered(20)
    customers(portal, *everyone)
    for id in everyone:
        portal.deal(f"d-{id}", contract_end_date="2026-12-31")
    database.publish(portal)
    for id in everyone[:6]:
        portal.deal(f"d-{id}", contract_end_date="2026-09-30")
    database.publish(portal)
    assert held(database) == dict.fromkeys(everyone[:6], "BREAKER_SHORTENED")
    until = "cast(access_until at time zone 'UTC' as date)"
    assert {str(day) for day in database.access(until).values()} == {"2027-01-15"}

    # All contracts are over: access ended at that instant for everyone who reads it.
    # Writing that down takes nothing more, now or in the limit of the next day.
    for id in everyone[:6]:
        portal.deal(f"d-{id}", contract_end_date="2026-12-31")
    customers(portal, "open")
    database.publish(portal, now="2027-01-14T23:00:00Z")
    database.publish(now="2027-01-15T00:00:00Z")
    assert enabled(database) == {"open"}
    ended = events(database, "0000")[-1]["evidence"]["access_ended_at"]
    assert ended == "2027-01-15T00:00:00Z"
    churn(portal, "open")
    database.publish(portal, now="2027-01-15T01:00:00Z")
    assert enabled(database) == set()


def test_evidence_carries_hubspots_own_history(
    database: Database, portal: Portal
) -> None:
    customers(portal, "1", "2")
    database.publish(portal)
    churn(portal, "1", "2")
    database.load(portal)
    assert database.dbt("run", "--exclude", "app").success
    database.run(
        "create table ops.evidence_history (object_type text, object_id text,"
        " property text, value text, old_value text, changed_at timestamptz,"
        " source_type text, changed_by text, read_at timestamptz)"
    )
    database.run(
        "insert into ops.evidence_history values ('companies', '1',"
        " 'customer_status', 'churned', 'active', '2026-06-15T14:03:00Z',"
        " 'CRM_UI', 'ann@example.com', '2026-06-15T14:05:00Z'),"
        # HubSpot was asked, and no longer knows.
        " ('companies', '2', 'customer_status', 'churned', null, null, null, null,"
        " '2026-06-15T14:05:00Z')"
    )
    assert database.dbt("run", "--select", "app").success
    told = {
        "old_value": "active",
        "changed_at": "2026-06-15T14:03:00Z",
        "source": "CRM_UI",
        "changed_by": "ann@example.com",
    }
    evidence = events(database, "1")[-1]["evidence"]
    assert evidence.items() >= told.items()
    assert evidence["hubspot_url"]
    assert "changed_at" not in events(database, "2")[-1]["evidence"]
    before = database.rows("app.access")
    database.publish()
    assert database.rows("app.access") == before
    assert database.rows("ops.access_plan") == []

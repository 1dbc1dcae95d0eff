"""Every kind of finding: raised by one edit in HubSpot, closed by its repair."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.transform.conftest import ROOT, Database
from tests.transform.portal import Portal
from tests.transform.test_breaker import LATER, TOMORROW, decide

MODELS = ROOT / "dbt_project" / "models" / "intermediate"

Edit = Callable[[Portal], None]


class Case(NamedTuple):
    """`before`: what is published first. `about`: the records that findings of this
    kind are about; empty where they are about none."""

    kind: str
    about: str
    before: Edit
    edit: Edit
    repair: Edit


def nothing(portal: Portal) -> None:
    pass


def customer(portal: Portal, id: str) -> None:
    """A customer whom nothing can be said about, with deal d-, line item l- and
    contact p-."""
    portal.company(
        id,
        domain=f"{id}.example",
        lifecyclestage="customer",
        customer_status="active",
        hubspot_owner_id="ann",
    )
    portal.deal(
        f"d-{id}",
        id,
        amount="120",
        deal_currency_code="EUR",
        contract_start_date="2026-01-01",
        contract_end_date="2026-12-31",
        hubspot_owner_id="bob",
    )
    portal.put("line_items", f"l-{id}", hs_sku="TEAM", price="120", quantity="1")
    portal.link("deals", f"d-{id}", "line_items", f"l-{id}", type_id=19)
    portal.contact(f"p-{id}", id, email=f"who@{id}.example")


def company(id: str, **values: str | None) -> Edit:
    return lambda portal: portal.company(id, **values)


def deal(id: str, **values: str | None) -> Edit:
    return lambda portal: portal.put("deals", id, **values)


def contact(id: str, **values: str | None) -> Edit:
    return lambda portal: portal.put("contacts", id, **values)


def both(*edits: Edit) -> Edit:
    def made(portal: Portal) -> None:
        for edit in edits:
            edit(portal)

    return made


def renewal(id: str, stage: str, company: str | None = None) -> Edit:
    def made(portal: Portal) -> None:
        portal.deal(
            f"r-{id}",
            company,
            pipeline="renewal",
            dealstage=stage,
            closedate="2026-06-01T09:00:00Z",
        )

    return made


def linked(deal: str, company: str, type_id: int = 341) -> Edit:
    return lambda p: p.link("deals", deal, "companies", company, type_id=type_id)


def unlinked(one: str, other: str) -> Edit:
    return lambda portal: portal.unlink(one, other)


def commerce(id: str, **values: str) -> Edit:
    def made(portal: Portal) -> None:
        portal.put("subscriptions", f"s-{id}", **values)
        portal.unlink(f"s-{id}", id)
        portal.link("subscriptions", f"s-{id}", "companies", id)

    return made


def gone(object_type: str, id: str) -> Edit:
    return lambda portal: portal.gone(object_type, id, "archived")


def back(object_type: str, id: str, *links: Edit) -> Edit:
    return both(lambda portal: portal.put(object_type, id, _state="live"), *links)


def own_deal(id: str) -> Edit:
    return both(linked(f"d-{id}", id), linked(f"d-{id}", id, type_id=5))


def own_contact(id: str) -> Edit:
    return lambda portal: portal.link("contacts", f"p-{id}", "companies", id)


def merged(winner: str, loser: str) -> Edit:
    """Two that are one: the winner gets the loser's links, not its values."""

    def made(portal: Portal) -> None:
        if winner in portal.records["companies"]:
            portal.merge(winner, loser)
            return
        portal.gone("contacts", loser, "merged", _merged_into=winner)

    return made


def properties(object_type: str, *, without: str = "", have: str = "") -> Edit:
    def made(portal: Portal) -> None:
        kept = [name for name in portal.properties[object_type] if name != without]
        portal.properties[object_type] = [*kept, *([have] if have else [])]

    return made


def stage(*row: str) -> Edit:
    def made(portal: Portal) -> None:
        portal.pipelines = [each for each in portal.pipelines if each[0] != row[0]]
        if len(row) > 1:
            portal.pipelines.append(row)  # type: ignore[arg-type]

    return made


def duplicate(id: str) -> Edit:
    """The deal of a customer typed in a second time."""

    def made(portal: Portal) -> None:
        values = portal.records["deals"][f"d-{id}"]
        portal.deal(f"e-{id}", id, **values)
        portal.put("line_items", f"m-{id}", **portal.records["line_items"][f"l-{id}"])
        portal.link("deals", f"e-{id}", "line_items", f"m-{id}", type_id=19)

    return made


def owner(id: str, *, archived: bool) -> Edit:
    def made(portal: Portal) -> None:
        portal.owners = [each for each in portal.owners if each["id"] != id]
        portal.owners.append(
            {
                "id": id,
                "first_name": id.title(),
                "last_name": "Holm",
                "email": f"{id}@us.example",
                "archived": archived,
            }
        )

    return made


def products(state: str) -> Edit:
    return lambda portal: portal.put("products", "unused", _state=state)


UNTIL = {"app_access_override": "grant", "app_access_override_until": "2027-01-01"}
NO_OVERRIDE = dict.fromkeys(UNTIL)
ANNULLED = {"dealstage": "contractsent"}

# Every edit is about a customer of its own, named like the kind where that is short.
CASES = [
    Case(
        "ACCESS_HELD",
        "held child top",  # of a circle as well, see below
        nothing,
        gone("companies", "held"),
        back("companies", "held", own_deal("held"), own_contact("held")),
    ),
    Case(
        "AMOUNT_NEGATIVE",
        "d-negative",
        nothing,
        deal("d-negative", amount="-120"),
        deal("d-negative", amount="120"),
    ),
    Case(
        "CHANGE_HELD",
        "",
        company("protected", app_access_protected="true"),
        company("protected", customer_status="churned"),
        company("protected", customer_status="active"),
    ),
    Case(
        "CHURN_WITHOUT_COMPANY",
        "r-unlinked",
        nothing,
        renewal("unlinked", "renewal_lost"),
        gone("deals", "r-unlinked"),
    ),
    Case(
        "COMPANIES_SHARE_DOMAIN",
        "twin",
        nothing,
        company("twin-2", domain="www.Twin.example"),
        merged("twin", "twin-2"),
    ),
    Case(
        "CONTACTS_SHARE_EMAIL",
        "p-email",
        lambda portal: portal.contact("q-email", "email", email="q@email.example"),
        contact("q-email", email="WHO@email.example"),
        contact("q-email", email="q@email.example"),
    ),
    Case(
        "CONTACT_IN_CHURNED_COMPANY_ONLY",
        "p-left",
        company("left", customer_status="churned", churn_date="2026-02-01"),
        contact("p-left", email="else@healthy.example"),
        lambda portal: portal.link("contacts", "p-left", "companies", "healthy"),
    ),
    Case(
        "CURRENCIES_MIXED",
        "d-mixed",
        nothing,
        lambda p: p.put("line_items", "l-mixed", hs_line_item_currency_code="USD"),
        lambda p: p.put("line_items", "l-mixed", hs_line_item_currency_code="EUR"),
    ),
    Case(
        "CUSTOMER_WITHOUT_CONTACT",
        "lonely",
        nothing,
        unlinked("p-lonely", "lonely"),
        own_contact("lonely"),
    ),
    Case(
        "CUSTOMER_WITHOUT_SUBSCRIPTION",
        "named",
        company("named", lifecyclestage="lead"),
        company("named", lifecyclestage="customer"),
        company("named", lifecyclestage="lead"),
    ),
    Case("EXTRACT_HELD", "", products("live"), products("archived"), products("live")),
    Case(
        "OVERRIDE_ON_RECORD_GONE",
        "overridden",
        company("overridden", **UNTIL),
        gone("companies", "overridden"),
        back(
            "companies",
            "overridden",
            own_deal("overridden"),
            own_contact("overridden"),
            company("overridden", **NO_OVERRIDE),
        ),
    ),
    Case(
        "OVERRIDE_WITHOUT_END",
        "endless",
        nothing,
        company("endless", app_access_override="grant"),
        company("endless", **UNTIL),
    ),
    Case(
        "OWNER_GONE",
        "cleo",
        both(owner("cleo", archived=False), company("owned", hubspot_owner_id="cleo")),
        owner("cleo", archived=True),
        company("owned", hubspot_owner_id="ann"),
    ),
    Case(
        "PARENT_CIRCLE",
        "child",
        both(
            company("child", app_access_parent="inherit", hs_parent_company_id="top"),
            company("top", app_access_parent="inherit"),
        ),
        company("top", hs_parent_company_id="child"),
        company("top", hs_parent_company_id=None),
    ),
    Case(
        "PIPELINE_WITHOUT_ROLE",
        "",
        nothing,
        stage("upsell", "Upsell", "yes", "Yes", "true", "1.0"),
        stage("upsell"),
    ),
    Case(
        "PLAN_UNKNOWN",
        "d-planless",
        nothing,
        lambda portal: portal.put("line_items", "l-planless", hs_sku="GADGET"),
        lambda portal: portal.put("line_items", "l-planless", hs_sku="TEAM"),
    ),
    Case(
        "PROPERTY_NOT_IN_PORTAL",
        "",
        nothing,
        properties("subscriptions", without="hs_next_payment_due_date"),
        properties("subscriptions", have="hs_next_payment_due_date"),
    ),
    Case(
        "RENEWAL_UNDECIDED",
        "r-late",
        both(
            deal("d-late", contract_end_date="2026-06-10"),
            renewal("late", "renewal_lost", "late"),
            # Not yet a renewal, and so no churn either.
            deal("r-late", pipeline="default", dealstage="contractsent"),
        ),
        deal("r-late", pipeline="renewal", dealstage="renewal_open"),
        deal("r-late", dealstage="renewal_won", contract_end_date="2027-06-10"),
    ),
    Case(
        "STAGE_UNMAPPED",
        "",
        lambda portal: portal.deal("open", "healthy", **ANNULLED),
        deal("open", dealstage="mystery"),
        deal("open", **ANNULLED),
    ),
    Case(
        "STATUS_CONTRADICTED",
        "loyal",
        nothing,
        renewal("loyal", "renewal_lost", "loyal"),
        deal("r-loyal", dealstage="renewal_won", contract_end_date="2027-05-31"),
    ),
    Case(
        "SUBSCRIPTION_DUPLICATED",
        "d-double",
        nothing,
        duplicate("double"),
        deal("e-double", contract_end_date="2027-12-31"),
    ),
    Case(
        "SUBSCRIPTION_ENDS_BEFORE_START",
        "d-reversed",
        deal("d-reversed", contract_end_date="2026-06-01"),
        deal("d-reversed", contract_start_date="2026-06-02"),
        deal("d-reversed", contract_start_date="2026-05-02"),
    ),
    Case(
        "SUBSCRIPTION_RECORD_GONE",
        "d-archived",
        nothing,
        gone("deals", "d-archived"),
        back("deals", "d-archived", own_deal("archived")),
    ),
    Case(
        "SUBSCRIPTION_STATUS_UNKNOWN",
        "s-strange",
        nothing,
        commerce("strange", hs_status="quantum"),
        commerce("strange", hs_status="expired"),
    ),
    Case(
        "SUBSCRIPTION_WITHOUT_COMPANY",
        "d-nobodys",
        nothing,
        unlinked("d-nobodys", "nobodys"),
        own_deal("nobodys"),
    ),
    Case(
        "SUBSCRIPTION_WITHOUT_DATES",
        "d-dateless",
        nothing,
        deal("d-dateless", contract_end_date=None),
        deal("d-dateless", contract_end_date="2026-12-31"),
    ),
    Case(
        "SUBSCRIPTION_WITH_SEVERAL_COMPANIES",
        "d-several",
        both(
            company("several-2"),
            unlinked("d-several", "several"),
            linked("d-several", "several"),
        ),
        linked("d-several", "several-2"),
        linked("d-several", "several", 5),
    ),
    Case(
        "UNPARSABLE_VALUE",
        "d-typo",
        nothing,
        deal("d-typo", amount="12,50"),
        deal("d-typo", amount="12.50"),
    ),
    Case(
        "VALUE_UNMAPPED",
        "unsure",
        nothing,
        company("unsure", app_access_override="granted"),
        company("unsure", app_access_override=None),
    ),
]
NAMES = """
    archived child dateless double email endless healthy held late left lonely loyal
    mixed negative nobodys overridden owned planless protected reversed several strange
    top twin typo unsure
"""

# Raised by what a person decides or writes into policy, not by an edit in HubSpot.
BY_PEOPLE = {"CHANGE_REFUSED", "COMPANY_IN_POLICY_GONE"}


def kinds_in_sql() -> set[str]:
    text = "".join(path.read_text() for path in MODELS.glob("int_findings_about_*"))
    one = re.findall(r"'([A-Z_]+)' as kind\b", text)
    either = re.findall(r"then '([A-Z_]+)' else '([A-Z_]+)'\s+end as kind\b", text)
    return {*one, *(kind for pair in either for kind in pair)}


def titled() -> set[str]:
    text = (ROOT / "dbt_project" / "macros" / "finding_titles.sql").read_text()
    return set(re.findall(r"^\s+'([A-Z_]+)': '", text, re.M))


def test_every_kind_has_a_title_and_a_case() -> None:
    assert kinds_in_sql() == titled()
    assert [case.kind for case in CASES] == sorted(titled() - BY_PEOPLE)


@pytest.fixture
def _policy_of_this_test(database: Database) -> Iterator[None]:
    """The seeds are shared with every other test."""
    yield
    database.run("delete from staging.protected_customers where value = '999'")


def found(database: Database) -> dict[str, set[str | None]]:
    """Kind to the records that findings of this kind are about."""
    rows: dict[str, set[str | None]] = {}
    for kind, object_id in database.run("select kind, object_id from ops.findings"):
        rows.setdefault(kind, set()).add(object_id)
    return rows


@pytest.mark.usefixtures("_policy_of_this_test")
def test_every_kind_is_raised_by_one_edit_and_closed_by_its_repair(
    database: Database, portal: Portal
) -> None:
    for object_type, *names in (
        ("companies", "app_access_protected"),
        ("deals", "hs_mrr", "hubspot_owner_id"),
        ("contacts", "hubspot_owner_id"),
        ("line_items", "hs_line_item_currency_code"),
        ("subscriptions", "hs_subscription_status"),
    ):
        portal.properties[object_type] += names
    owner("ann", archived=False)(portal)
    owner("bob", archived=False)(portal)
    for name in NAMES.split():
        customer(portal, name)
    for case in CASES:
        case.before(portal)
    database.publish(portal)
    assert found(database) == {}

    for case in CASES:
        case.edit(portal)
    database.run(
        "insert into staging.protected_customers values"
        " ('companies', 'hs_object_id', '999', 'Ours', 'ignore')"
    )
    database.publish(portal, now=LATER)
    raised = found(database)
    assert raised.pop("COMPANY_IN_POLICY_GONE") == {"999"}
    assert raised == {case.kind: set(case.about.split()) or {None} for case in CASES}
    assert database.run("select kind from ops.findings where title is null") == []
    owners = dict(database.run("select kind, owner_email from ops.findings"))
    assert owners["UNPARSABLE_VALUE"] == "bob@us.example", "whose deal it is"
    assert owners["PLAN_UNKNOWN"] == "bob@us.example"
    assert owners["SUBSCRIPTION_STATUS_UNKNOWN"] == "ann@us.example", "its company's"
    assert owners["CONTACTS_SHARE_EMAIL"] == "ann@us.example", "its company's"
    assert owners["OWNER_GONE"] is None
    assert not [
        text
        for (text,) in database.run("select what_to_do from ops.findings")
        if "who@" in text
    ], "no address of a person"

    decide(database, "rejected", now=LATER)
    database.publish(now=TOMORROW)
    refused = found(database)
    assert refused.pop("CHANGE_REFUSED") == {None}
    del refused["COMPANY_IN_POLICY_GONE"]
    assert refused.keys() == raised.keys(), "nothing closes before it is repaired"
    seen = database.run(
        "select distinct first_seen_at = cast(%s as timestamptz),"
        " last_seen_at = cast(%s as timestamptz)"
        " from ops.findings where kind <> 'CHANGE_REFUSED'",
        (LATER, TOMORROW),
    )
    assert seen == [(True, True)]

    for case in CASES:
        case.repair(portal)
    database.run("delete from staging.protected_customers where value = '999'")
    database.publish(portal, now=TOMORROW)
    assert found(database) == {}

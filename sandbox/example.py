"""Believable data of any size: a software company's customers, as people left them.

Every 25 companies hold the same mix (see MIX); the rest is drawn from the seed. Dates
are relative to `now`, so that what is in force stays in force whenever this runs.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import awkward
from sandbox.associations import HUBSPOT
from sandbox.clock import DAY_MS, EPOCH, iso, milliseconds
from sandbox.portal import Portal

Values = dict[str, Any]

# What kinds of companies there are, of every 25.
MIX = (
    ["active"] * 14
    + ["paused", "churned", "churned", "lost_renewal", "past_due", "ended", "canceled"]
    + ["no_subscription", "prospect", "prospect", "prospect"]
)
PLANS = (  # sku, name, price per seat and year, most seats
    ("STARTER", "Starter plan", 96, 5),
    ("TEAM", "Team plan", 180, 40),
    ("BUSINESS", "Business plan", 300, 250),
    ("ENTERPRISE", "Enterprise plan", 480, 3000),
)
FIRST_IDS = {
    # Ids are unique only inside a type: contacts and companies share theirs.
    "companies": 20_000_000_001,
    "contacts": 20_000_000_001,
    "deals": 31_000_000_003,
    "line_items": 9_007_199_254_740_993,  # beyond 2^53: no float holds them
    "products": 1_500_000_001,
    "subscriptions": 451_000_000_017,
    "tickets": 5_100_000_000,
}

FIRST = "Nord Süd Alpen Blue Green Quiet Rapid Clear Iron Silver North Lumen Zephyr Øst"
SECOND = "wind lake field bridge works stone port mark gate light wood forge river peak"
LEGAL = ("GmbH", "Ltd", "Inc.", "AG", "B.V.", "S.A.", "& Søn ApS", "SARL", "LLC")
PLACES = (
    ("Berlin", "BE", "10115", "Germany"),
    ("München", "BY", "80331", "Germany"),
    ("Zürich", "ZH", "8001", "Switzerland"),
    ("Boston", "MA", "02108", "United States"),
    ("Austin", "TX", "73301", "United States"),
    ("Kraków", "", "30-001", "Poland"),
    ("'s-Hertogenbosch", "NB", "5211", "Netherlands"),
    ("São Paulo", "SP", "01000-000", "Brazil"),
)
GIVEN = (
    "Ada Björn Chloé Dmitri Emre Fatima Grace Hồng Ida José Kofi Lena Mária Noor Olu"
)
FAMILY = (
    "Ahmed Berg Castro D'Angelo Evans Fischer García Holm Ito Jensen Kaya Łuczak Ng"
)
TITLES = ("CEO", "CFO", "IT Manager", "Head of Operations", "Accountant", "Developer")
INDUSTRIES = ("COMPUTER_SOFTWARE", "RETAIL", "CONSTRUCTION", "EDUCATION")


def build(
    companies: int,
    seed: int,
    now: datetime | None,
    token: str = "sandbox-token",
    contacts: int | None = None,
) -> Portal:
    """The portal of `Portal.example`."""
    portal = Portal(seed=seed, first_ids=FIRST_IDS, token=token)
    moment = now or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    _Builder(portal, random.Random(seed), milliseconds(moment)).build(
        companies, companies * 5 if contacts is None else contacts
    )
    if now is not None:
        portal.clock.set(now)
    else:
        portal.clock.run()
    return portal


class _Builder:
    def __init__(self, portal: Portal, rng: random.Random, now: int) -> None:
        self.portal = portal
        self.rng = rng
        self.now = now
        self.bulk = now - 12 * DAY_MS - 3_456_789  # one import, one millisecond
        self.owners: list[str] = []
        self.products: dict[str, int] = {}
        self.people: dict[int, list[int]] = {}  # company -> contacts
        self.labels: dict[str, tuple[str, int]] = {}
        self.seen: Counter[str] = Counter()

    def build(self, count: int, contacts: int) -> None:
        portal = self.portal
        portal.clock.set(datetime(2020, 1, 1, tzinfo=UTC))
        self._define()
        self._add_owners()
        self._add_products()
        kinds: list[str] = []
        while len(kinds) < count:
            block = list(MIX)
            self.rng.shuffle(block)
            kinds += block
        known = [
            (kind, self._company(number, kind))
            for number, kind in enumerate(kinds[:count])
        ]
        ids = [company for _, company in known]
        self._contacts(contacts, ids)
        for number, (kind, company) in enumerate(known):
            self._business(number, kind, company)
        self._parents(ids)
        self._tickets(count // 4, ids)
        self._recycle_and_merge(count, known)

    # Time

    def ago(self, days: float) -> int:
        return self.now - round(days * DAY_MS)

    def day(self, days_ahead: float) -> str:
        """The date so many days from now (negative: ago)."""
        return iso(self.now + round(days_ahead * DAY_MS))[:10]

    def _add(self, name: str, values: Values, created: float, touched: float) -> int:
        """A record created and last touched so many days ago."""
        born = self.ago(created) + self.rng.randrange(DAY_MS // 2)
        updated = max(born, self.ago(touched) - self.rng.randrange(DAY_MS))
        if self.rng.random() < 0.3:
            updated = max(born, self.bulk)
        return self.portal.insert(name, values, born, updated)

    # Definitions

    def _define(self) -> None:
        portal = self.portal
        for given in (
            {
                "name": "customer_status",
                "label": "Customer status",
                "type": "enumeration",
                "fieldType": "select",
                "description": "Where the customer stands; set by account managers.",
                "options": ["active", "paused", "churned"],
            },
            {"name": "churn_date", "type": "date", "fieldType": "date"},
            {
                "name": "app_access_override",
                "label": "App access override",
                "type": "enumeration",
                "fieldType": "select",
                "description": "Grants or denies access whatever the contracts say.",
                "options": ["grant", "deny"],
            },
            {"name": "app_access_override_until", "type": "date", "fieldType": "date"},
            {"name": "Kundennummer", "type": "string", "fieldType": "text"},
        ):
            portal.add_property("companies", {"groupName": "custom", **given})
        for name in ("contract_start_date", "contract_end_date"):
            portal.add_property(
                "deals", {"name": name, "type": "date", "fieldType": "date"}
            )
        for given in awkward.definitions():
            portal.add_property("contacts", given)
        portal.add_property("contacts", {"name": "retired_field"})
        portal.remove_property("contacts", "retired_field")
        portal.update_pipeline(
            "deals",
            "renewal",
            {
                "label": "Renewal Pipeline",
                "stages": [
                    {
                        "id": "renewal_open",
                        "label": "Renewal open",
                        "metadata": {"isClosed": "false", "probability": "0.5"},
                    },
                    {
                        "id": "renewal_won",
                        "label": "Renewed",
                        "metadata": {"isClosed": "true", "probability": "1.0"},
                    },
                    {
                        "id": "renewal_lost",
                        "label": "Not renewed",
                        "metadata": {"isClosed": "true", "probability": "0.0"},
                    },
                ],
            },
        )
        portal.add_schema(
            "licenses",
            properties=[
                {"name": "license_key", "hasUniqueValue": True},
                {"name": "seats", "type": "number", "fieldType": "number"},
                {"name": "valid_until", "type": "date", "fieldType": "date"},
            ],
        )
        for label in ("Billing contact", "Decision maker"):
            self.labels[label] = portal.add_label("contacts", "companies", label)
        self.labels["Account manager"] = portal.add_label(
            "contacts", "companies", "Account manager", "Managed account"
        )
        self.labels["Manager"] = portal.add_label(
            "contacts", "contacts", "Manager", "Report"
        )

    def _add_owners(self) -> None:
        names = list(zip(GIVEN.split(), FAMILY.split(), strict=False))
        for number, (first, last) in enumerate(names[:12]):
            owner = self.portal.add_owner(
                f"owner{number}@sandbox.example",
                firstName=first,
                lastName=last,
                **(
                    {"teams": [{"id": "368389", "name": "Sales", "primary": True}]}
                    if number % 3 == 0
                    else {}
                ),
            )
            self.owners.append(owner)
        self.portal.add_owner("queue@sandbox.example", type="QUEUE", userId=None)
        for owner in self.owners[-2:]:
            self.portal.archive_owner(owner)

    def _add_products(self) -> None:
        for sku, name, price, _ in (*PLANS, ("ONBOARDING", "Onboarding day", 1200, 1)):
            recurring = sku != "ONBOARDING"
            self.products[sku] = self._add(
                "products",
                {
                    "name": name,
                    "hs_sku": sku,
                    "price": str(price),
                    "description": f"{name}\nper seat" if recurring else name,
                    "recurringbillingfrequency": "annually" if recurring else None,
                    "hs_recurring_billing_period": "P12M" if recurring else None,
                    "hs_status": "active",
                },
                created=900,
                touched=400,
            )

    # People and companies

    def _company(self, number: int, kind: str) -> int:
        rng = self.rng
        word = rng.choice(FIRST.split()) + rng.choice(SECOND.split())
        city, state, zip_code, country = rng.choice(PLACES)
        customer = kind != "prospect"
        values: Values = {
            "name": f"{word} {rng.choice(LEGAL)}",
            "domain": f"{_ascii(word)}{number}.example",
            "phone": f"+49 30 {rng.randrange(100000, 999999)}",
            "address": f"{word}straße {rng.randrange(1, 120)}",
            "city": city,
            "state": state or None,
            "zip": zip_code,
            "country": country,
            "industry": rng.choice(INDUSTRIES),
            "numberofemployees": str(rng.randrange(3, 4000)),
            "lifecyclestage": "customer" if customer else rng.choice(_EARLY),
            "hubspot_owner_id": rng.choice(self.owners) if rng.random() < 0.9 else None,
            "Kundennummer": f"K-{number:06}" if customer else None,
            "hs_object_source": rng.choice(("CRM_UI", "IMPORT", "INTEGRATION")),
        }
        values["website"] = f"https://www.{values['domain']}"
        if kind in ("paused", "churned"):
            values["customer_status"] = kind
        elif customer and rng.random() < 0.8:
            values["customer_status"] = "active"
        if kind == "churned" and rng.random() < 0.8:
            values["churn_date"] = self.day(-rng.randrange(5, 300))
        values.update(_override(number, self))
        return self._add(
            "companies", values, rng.randrange(700, 1000), rng.random() * 600
        )

    def _contacts(self, count: int, companies: list[int]) -> None:
        rng = self.rng
        given, family = GIVEN.split(), FAMILY.split()
        primary = [(HUBSPOT, 1)]
        for number in range(count):
            first, last = rng.choice(given), rng.choice(family)
            company = rng.choice(companies) if rng.random() < 0.96 else None
            email = f"{_ascii(first)}.{_ascii(last)}{number}@mail.example"
            values: Values = {
                "email": email if rng.random() < 0.98 else None,
                "firstname": first,
                "lastname": last,
                "jobtitle": rng.choice(TITLES),
                "phone": f"+1 617 555 {number % 10000:04}",
                "lifecyclestage": rng.choice(_EARLY),
                "hubspot_owner_id": rng.choice(self.owners),
                "hs_language": rng.choice(("en", "de", "fr", "nl")),
                "hs_email_optout": rng.choice(("true", "false", None)),
                "associatedcompanyid": company and str(company),
                "newsletter": rng.choice(("true", "false")),
            }
            # A few consecutive contacts in every stretch carry one oddity each.
            if number % 400 < len(awkward.VALUES):
                name, value = awkward.VALUES[number % 400]
                if number < 400 or len(value) < 1000:
                    values[name] = value
            contact = self._add(
                "contacts", values, rng.randrange(10, 1000), rng.random() * 600
            )
            if company is None:
                continue
            self.people.setdefault(company, []).append(contact)
            types = primary
            if number % 7 == 0:
                name = ("Billing contact", "Decision maker", "Account manager")[
                    number // 7 % 3
                ]
                types = [*primary, self.labels[name]]
            self._link("contacts", contact, "companies", company, types)
            if number % 20 == 0:
                for other in rng.sample(companies, min(2, len(companies))):
                    if other != company:
                        self._link("contacts", contact, "companies", other)
        for people in list(self.people.values())[::5]:
            if len(people) > 1:
                boss = [self.labels["Manager"]]
                self._link("contacts", people[1], "contacts", people[0], boss)

    def _link(
        self,
        source: str,
        from_id: int,
        target: str,
        to_id: int,
        types: list[tuple[str, int]] | None = None,
    ) -> None:
        self.portal.associations.add(source, from_id, target, to_id, types or ())

    def _parents(self, companies: list[int]) -> None:
        for position in range(12, len(companies), 17):
            child, parent = companies[position], companies[position - 12]
            self._link("companies", child, "companies", parent, [(HUBSPOT, 14)])
            record = self.portal.tables["companies"].records[child]
            record.properties["hs_parent_company_id"] = str(parent)

    # Business

    def _business(self, number: int, kind: str, company: int) -> None:
        """Deals, line items, subscriptions and licenses of one company."""
        rng = self.rng
        sku, _, price, most = rng.choice(PLANS)
        seats = rng.randrange(1, most)
        self.seen[kind] += 1
        commerce = {
            "past_due": True,
            "canceled": True,
            "paused": self.seen[kind] % 2 == 0,
            "active": rng.random() < 0.25,
        }.get(kind, False)
        if kind in ("prospect", "no_subscription"):
            for _ in range(rng.randrange(1, 3)):
                self._open_or_lost(company, sku, seats, price)
            return
        if commerce:
            self._subscription(number, kind, company, sku, seats, price)
            for _ in range(2):
                self._open_or_lost(company, sku, seats, price)
            return
        # Days from now at which the running (or last) contract ends.
        end = {
            "ended": -rng.randrange(1, 200),
            "lost_renewal": -rng.randrange(1, 120),
        }.get(kind, rng.randrange(10, 360))
        start = end - 365
        first_end = end
        if kind == "active" and rng.random() < 0.6:
            first_end = start  # the present contract is a renewal
            self._deal(company, "renewal", "renewal_won", sku, seats, price, start)
        self._deal(company, "default", "closedwon", sku, seats, price, first_end - 365)
        if kind == "lost_renewal":
            self._deal(company, "renewal", "renewal_lost", sku, seats, price, end)
        elif kind == "active" and end < 90:
            self._deal(company, "renewal", "renewal_open", sku, seats, price, end)
        elif rng.random() < 0.7:
            self._open_or_lost(company, sku, seats, price)
        if number % 2 == 0:
            license_ = self._add(
                "licenses",
                {
                    "license_key": f"{company:X}-{seats:04}",
                    "seats": str(seats),
                    "valid_until": self.day(end),
                },
                created=max(1, -start),
                touched=max(0, -start),
            )
            key = self.portal.associations.unlabeled("licenses", "companies")
            self._link("licenses", license_, "companies", company, [key] if key else [])

    def _deal(
        self,
        company: int,
        pipeline: str,
        stage: str,
        sku: str,
        seats: int,
        price: int,
        start: float,
    ) -> int:
        """A deal for a year's contract that starts so many days from now."""
        rng = self.rng
        won = stage in ("closedwon", "renewal_won")
        lost = stage in ("closedlost", "renewal_lost")
        closed = start - rng.randrange(1, 20) if won else min(start, -1.0)
        # A few people keep the dates on the line items only.
        dated = not won or rng.random() < 0.9 or start < -365
        one_time = won and rng.random() < 0.3
        amount = seats * price + (1200 if one_time else 0)
        created = max(2.0, -closed + rng.randrange(5, 90))
        deal = self._add(
            "deals",
            {
                "dealname": f"{sku.title()} {seats} seats {self.day(start)[:4]}",
                "amount": f"{amount}.00" if rng.random() < 0.95 else None,
                "deal_currency_code": rng.choice(("USD", "USD", "EUR")),
                "pipeline": pipeline,
                "dealstage": stage,
                "dealtype": "newbusiness"
                if pipeline == "default"
                else "existingbusiness",
                "closedate": iso(self.now + round(closed * DAY_MS)),
                "hubspot_owner_id": rng.choice(self.owners),
                "contract_start_date": self.day(start) if dated else None,
                "contract_end_date": self.day(start + 365) if dated else None,
                "closed_lost_reason": "Budget cut\nand a <b>merger</b>"
                if lost
                else None,
            },
            created=created,
            touched=max(0.0, -closed),
        )
        self._link("deals", deal, "companies", company, [(HUBSPOT, 5)])
        for contact in self.people.get(company, [])[:2]:
            self._link("deals", deal, "contacts", contact)
        frequency, period = rng.choice((("annually", "P12M"), ("monthly", "P12M")))
        unit = price if frequency == "annually" else price / 12
        items: list[Values] = [
            {
                "name": f"{sku.title()} plan",
                "hs_sku": sku,
                "hs_product_id": str(self.products[sku]),
                "quantity": str(seats),
                "price": f"{unit:g}",
                "recurringbillingfrequency": frequency,
                "hs_recurring_billing_period": period,
                "hs_recurring_billing_start_date": self.day(start),
                "hs_recurring_billing_end_date": self.day(start + 365),
            }
        ]
        if one_time:
            items.append(
                {
                    "name": "Onboarding day",
                    "hs_sku": "ONBOARDING",
                    "hs_product_id": str(self.products["ONBOARDING"]),
                    "quantity": "1",
                    "price": "1200",
                }
            )
        for values in items:
            item = self._add("line_items", values, created, max(0.0, -closed))
            self._link("deals", deal, "line_items", item)
        return deal

    def _open_or_lost(self, company: int, sku: str, seats: int, price: int) -> None:
        stage = self.rng.choice(
            ("closedlost", "appointmentscheduled", "qualifiedtobuy", "contractsent")
        )
        days = self.rng.randrange(-200, -5) if stage == "closedlost" else 30
        self._deal(company, "default", stage, sku, seats, price, days)

    def _subscription(
        self, number: int, kind: str, company: int, sku: str, seats: int, price: int
    ) -> None:
        rng = self.rng
        status = {"active": "active", "paused": "paused", "past_due": "past_due"}.get(
            kind, ("canceled", "expired")[self.seen[kind] % 2]
        )
        if kind == "active" and number % 97 == 0:
            status = (
                "incomplete"  # no option of the property, yet integrations write it
            )
        elif kind == "active" and number % 31 == 0:
            status = "scheduled"
        start = 14 if status == "scheduled" else -rng.randrange(40, 800)
        stopped = status in ("canceled", "expired")
        late = rng.choice((3, 20, 60)) if status == "past_due" else -20
        created = max(1, 5 - start)
        subscription = self._add(
            "subscriptions",
            {
                "hs_name": f"{sku.title()} subscription",
                "hs_status": status,
                "hs_recurring_billing_start_date": self.day(start),
                "hs_recurring_billing_end_date": self.day(-rng.randrange(2, 39))
                if stopped
                else None,
                "hs_recurring_billing_frequency": "monthly",
                "hs_last_payment_amount": f"{seats * price / 12:.2f}",
                "hs_next_payment_due_date": None if stopped else self.day(-late),
                "hs_currency_code": "USD",
                "hs_collection_process": "automatic_payments",
                "hs_invoice_creation": "on",
            },
            created=created,
            touched=max(0, min(created, late)),
        )
        self._link("subscriptions", subscription, "companies", company)
        for contact in self.people.get(company, [])[:1]:
            self._link("subscriptions", subscription, "contacts", contact)
        item = self._add(
            "line_items",
            {
                "name": f"{sku.title()} plan",
                "hs_sku": sku,
                "hs_product_id": str(self.products[sku]),
                "quantity": str(seats),
                "price": f"{price / 12:g}",
                "recurringbillingfrequency": "monthly",
                "hs_recurring_billing_start_date": self.day(start),
            },
            created=created,
            touched=created,
        )
        self._link("subscriptions", subscription, "line_items", item)

    def _tickets(self, count: int, companies: list[int]) -> None:
        for number in range(count):
            company = self.rng.choice(companies)
            ticket = self._add(
                "tickets",
                {
                    "subject": f"Question {number}",
                    "content": "It <b>does not</b> work 😕",
                    "hs_pipeline": "0",
                    "hs_pipeline_stage": self.rng.choice(("1", "2", "3", "4")),
                    "hs_ticket_priority": self.rng.choice(("LOW", "HIGH")),
                },
                created=self.rng.randrange(5, 400),
                touched=3,
            )
            self._link("tickets", ticket, "companies", company, [(HUBSPOT, 26)])
            for contact in self.people.get(company, [])[:1]:
                self._link("tickets", ticket, "contacts", contact)

    # The past: deleted, merged and erased records

    def _recycle_and_merge(self, count: int, known: list[tuple[str, int]]) -> None:
        portal, rng = self.portal, self.rng
        portal.clock.set(_moment(self.ago(9)))
        for number, (kind, company) in enumerate(known):
            if kind == "prospect" and number % 11 == 0:
                portal.archive("companies", company)
            elif kind != "prospect" and number % 29 == 3:
                twin = self._twin(company)
                portal.clock.advance(61)
                portal.merge("companies", company, twin, new_id=number % 2 == 0)
        contacts = portal.live_ids("contacts")
        step = max(25, len(contacts) // 200)
        for first, second in zip(contacts[7::step], contacts[11::step], strict=False):
            portal.clock.advance(7)
            portal.merge("contacts", first, second, new_id=rng.random() < 0.5)
        for contact in portal.live_ids("contacts")[5::101]:
            portal.archive("contacts", contact)
        for deal in portal.live_ids("deals")[9::83]:
            if portal.tables["deals"].records[int(deal)].properties[
                "dealstage"
            ] not in ("closedwon", "renewal_won"):
                portal.archive("deals", deal)
        if contacts:
            portal.privacy_delete("contacts", portal.live_ids("contacts")[-1])

    def _twin(self, company: int) -> int:
        """The same company typed in once more by somebody else."""
        original = self.portal.tables["companies"].records[company].properties
        return self._add(
            "companies",
            {"name": original["name"].upper(), "domain": original["domain"]},
            created=60,
            touched=40,
        )


_EARLY = ("lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity")


def _override(number: int, builder: _Builder) -> Values:
    """Access overrides: granted, denied, expired, and one that lacks its end."""
    return {
        21: {
            "app_access_override": "grant",
            "app_access_override_until": builder.day(30),
        },
        47: {
            "app_access_override": "deny",
            "app_access_override_until": builder.day(60),
        },
        63: {
            "app_access_override": "grant",
            "app_access_override_until": builder.day(-9),
        },
        88: {"app_access_override": "grant"},
    }.get(number % 120, {})


_PLAIN = str.maketrans("øØüéöíáãłŁồñ", "oOueoiaalLon", "' ")


def _ascii(word: str) -> str:
    return word.translate(_PLAIN).lower()


def _moment(ms: int) -> datetime:
    return (EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=UTC)

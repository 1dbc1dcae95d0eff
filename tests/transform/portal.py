"""A HubSpot portal as its raw tables, written straight into a database.

The transform is tested without the loader: what the loader promises (one text column
per property, the states, the associations of live records) is put there by hand, so
that a test says in a few words what HubSpot held.
"""

from __future__ import annotations

import json
from typing import Any

OBJECT_TYPES = {
    "companies": ("0-2", "Company"),
    "contacts": ("0-1", "Contact"),
    "deals": ("0-3", "Deal"),
    "line_items": ("0-8", "Line item"),
    "products": ("0-7", "Product"),
    "subscriptions": ("0-69", "Subscription"),
    "tickets": ("0-5", "Ticket"),
}

# What the sandbox portal and the shipped policy speak of.
PROPERTIES = {
    "companies": [
        "name",
        "domain",
        "phone",
        "lifecyclestage",
        "hubspot_owner_id",
        "hs_parent_company_id",
        "hs_merged_object_ids",
        "customer_status",
        "churn_date",
        "app_access_override",
        "app_access_override_until",
        "app_access_parent",
    ],
    "contacts": ["email", "firstname", "lastname", "phone", "jobtitle"],
    "deals": [
        "dealname",
        "pipeline",
        "dealstage",
        "amount",
        "closedate",
        "deal_currency_code",
        "hs_is_closed_won",
        "hs_is_closed_lost",
        "contract_start_date",
        "contract_end_date",
    ],
    "line_items": [
        "name",
        "hs_product_id",
        "hs_sku",
        "quantity",
        "price",
        "amount",
        "recurringbillingfrequency",
        "hs_recurring_billing_period",
        "hs_recurring_billing_start_date",
        "hs_recurring_billing_end_date",
    ],
    "products": ["name", "hs_sku", "price"],
    "subscriptions": [
        "hs_name",
        "hs_status",
        "hs_recurring_billing_start_date",
        "hs_recurring_billing_end_date",
        "hs_next_payment_due_date",
    ],
    "tickets": ["subject"],
}

# (pipeline, label, stage, label, closed, probability)
PIPELINES = [
    ("default", "Sales Pipeline", "contractsent", "Contract sent", "false", "0.9"),
    ("default", "Sales Pipeline", "closedwon", "Closed won", "true", "1.0"),
    ("default", "Sales Pipeline", "closedlost", "Closed lost", "true", "0.0"),
    ("renewal", "Renewal Pipeline", "renewal_open", "Open", "false", "0.5"),
    ("renewal", "Renewal Pipeline", "renewal_won", "Won", "true", "1.0"),
    ("renewal", "Renewal Pipeline", "renewal_lost", "Lost", "true", "0.0"),
]

_META = {
    "_state": "text",
    "_created_at": "timestamptz",
    "_updated_at": "timestamptz",
    "_archived_at": "timestamptz",
    "_merged_into": "text",
    "_overflow": "text",
    "_dlt_load_id": "text",
}

_TABLES = {
    "associations": {
        "from_type": "text",
        "from_id": "text",
        "to_type": "text",
        "to_id": "text",
        "type_id": "bigint",
        "category": "text",
        "label": "text",
        "_dlt_load_id": "text",
    },
    "owners": {
        "id": "text",
        "email": "text",
        "first_name": "text",
        "last_name": "text",
        "archived": "boolean",
    },
    "pipelines": {
        "object_type": "text",
        "pipeline_id": "text",
        "pipeline_label": "text",
        "stage_id": "text",
        "stage_label": "text",
        "is_closed": "text",
        "probability": "text",
        "_state": "text",
    },
    "properties": {
        "object_type": "text",
        "name": "text",
        "column_name": "text",
        "label": "text",
        "description": "text",
        "type": "text",
        "field_type": "text",
        "options": "text",
        "_state": "text",
    },
    "portal": {
        "portal_id": "text",
        "time_zone": "text",
        "company_currency": "text",
        "ui_domain": "text",
    },
    "object_types": {
        "object_type": "text",
        "object_type_id": "text",
        "label_singular": "text",
    },
    "_dlt_loads": {"load_id": "text", "inserted_at": "timestamptz"},
}

UPDATED_AT = "2026-01-10T12:00:00Z"


class Portal:
    """Records, links, pipelines and properties; `tables()` is what the loader makes."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, dict[str, Any]]] = {
            name: {} for name in OBJECT_TYPES
        }
        self.links: list[tuple[str, str, str, str, int, str | None]] = []
        self.pipelines = list(PIPELINES)
        self.properties = {name: list(names) for name, names in PROPERTIES.items()}
        self.types: dict[tuple[str, str], str] = {}
        self.definitions: dict[tuple[str, str], dict[str, str | None]] = {}
        self.owners: list[dict[str, Any]] = []
        self.overflowing: set[tuple[str, str]] = set()

    def put(self, object_type: str, id: str, /, **values: Any) -> None:
        """Create or change a record; keys with a leading underscore are its state."""
        record = self.records.setdefault(object_type, {}).setdefault(
            id, {"_state": "live", "_created_at": UPDATED_AT, "_updated_at": UPDATED_AT}
        )
        record.update(values)

    def company(self, id: str, /, **values: Any) -> None:
        self.put("companies", id, **{"name": f"Company {id}", **values})

    def contact(self, id: str, /, company: str | None = None, **values: Any) -> None:
        self.put("contacts", id, **{"email": f"{id}@example.com", **values})
        if company:
            self.link("contacts", id, "companies", company)

    def deal(self, id: str, /, company: str | None = None, **values: Any) -> None:
        """A won deal of 2026 unless it says otherwise."""
        won = {
            "dealname": f"Deal {id}",
            "pipeline": "default",
            "dealstage": "closedwon",
            "closedate": "2026-01-05T09:00:00Z",
        }
        self.put("deals", id, **{**won, **values})
        if company:
            self.link("deals", id, "companies", company, type_id=341)
            self.link("deals", id, "companies", company, type_id=5)

    def link(
        self,
        from_type: str,
        from_id: str,
        to_type: str,
        to_id: str,
        type_id: int = 279,
        label: str | None = None,
    ) -> None:
        self.links.append((from_type, from_id, to_type, to_id, type_id, label))

    def unlink(self, from_id: str, to_id: str) -> None:
        self.links = [
            link for link in self.links if (link[1], link[3]) != (from_id, to_id)
        ]

    def gone(self, object_type: str, id: str, state: str, **values: Any) -> None:
        """The record leaves; HubSpot then tells none of its links any more."""
        self.put(object_type, id, _state=state, **values)
        self.links = [
            link
            for link in self.links
            if (object_type, id) not in {(link[0], link[1]), (link[2], link[3])}
        ]

    def merge(self, winner: str, loser: str) -> None:
        """Companies: the winner gets the loser's links, as in HubSpot."""
        swap = {loser: winner}
        self.links = [
            (
                a,
                swap.get(b, b) if a == "companies" else b,
                c,
                swap.get(d, d) if c == "companies" else d,
                e,
                f,
            )
            for a, b, c, d, e, f in self.links
        ]
        self.put("companies", loser, _state="merged", _merged_into=winner)
        known = self.records["companies"][winner].get("hs_merged_object_ids")
        merged = f"{known};{loser}" if known else loser
        self.put("companies", winner, hs_merged_object_ids=merged)

    def tables(self) -> dict[str, tuple[dict[str, str], list[dict[str, Any]]]]:
        """Table name to (column types, rows)."""
        made: dict[str, tuple[dict[str, str], list[dict[str, Any]]]] = {}
        for name, records in self.records.items():
            rows = []
            for id, values in records.items():
                row = {"id": id, **values}
                spilled = {
                    key: row.pop(key)
                    for key in list(row)
                    if (name, key) in self.overflowing
                }
                if spilled:
                    row["_overflow"] = json.dumps(spilled)
                rows.append(row)
            columns = {"id": "text"} | _META
            columns |= {
                key: "text"
                for key in self.properties.get(name, [])
                if (name, key) not in self.overflowing
            }
            made[name] = (columns, rows)
        made["associations"] = (
            _TABLES["associations"],
            [
                {
                    "from_type": a,
                    "from_id": b,
                    "to_type": c,
                    "to_id": d,
                    "type_id": e,
                    "label": f,
                    "category": "USER_DEFINED" if f else "HUBSPOT_DEFINED",
                }
                for a, b, c, d, e, f in self.links
            ],
        )
        made["owners"] = (_TABLES["owners"], self.owners)
        made["pipelines"] = (
            _TABLES["pipelines"],
            [
                {
                    "object_type": "deals",
                    "pipeline_id": a,
                    "pipeline_label": b,
                    "stage_id": c,
                    "stage_label": d,
                    "is_closed": e,
                    "probability": f,
                    "_state": "live",
                }
                for a, b, c, d, e, f in self.pipelines
            ],
        )
        made["properties"] = (
            _TABLES["properties"],
            [
                {
                    "object_type": name,
                    "name": key,
                    "column_name": None if (name, key) in self.overflowing else key,
                    "label": key.replace("_", " ").title(),
                    "description": f"HubSpot's {key}; it's text.",
                    "type": self.types.get((name, key), "string"),
                    "field_type": "text",
                    "options": "[]",
                    "_state": "live",
                    **self.definitions.get((name, key), {}),
                }
                for name, keys in self.properties.items()
                for key in keys
            ],
        )
        made["portal"] = (
            _TABLES["portal"],
            [
                {
                    "portal_id": "1234",
                    "time_zone": "US/Eastern",
                    "company_currency": "EUR",
                    "ui_domain": "app.hubspot.com",
                }
            ],
        )
        made["object_types"] = (
            _TABLES["object_types"],
            [
                {"object_type": name, "object_type_id": id, "label_singular": label}
                for name, (id, label) in OBJECT_TYPES.items()
            ],
        )
        made["_dlt_loads"] = (
            _TABLES["_dlt_loads"],
            [{"load_id": "1", "inserted_at": UPDATED_AT}],
        )
        return made

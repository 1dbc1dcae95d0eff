"""Pipelines and stages as HubSpot sends them (hubspot_api.md 6.1)."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

BEGINNING = "1970-01-01T00:00:00Z"

DEALS = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2", "false"),
    ("qualifiedtobuy", "Qualified To Buy", "0.4", "false"),
    ("presentationscheduled", "Presentation Scheduled", "0.6", "false"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8", "false"),
    ("contractsent", "Contract Sent", "0.9", "false"),
    ("closedwon", "Closed Won", "1.0", "true"),
    ("closedlost", "Closed Lost", "0.0", "true"),
)
TICKETS = (
    ("1", "New", "OPEN"),
    ("2", "Waiting on contact", "OPEN"),
    ("3", "Waiting on us", "OPEN"),
    ("4", "Closed", "CLOSED"),
)


def pipeline(given: Json, order: int, now: str) -> Json:
    """A whole pipeline from `{"id", "label", "stages": [...]}`; metadata as text."""
    stages = [
        {
            "label": stage["id"],
            "displayOrder": position,
            "createdAt": now,
            "updatedAt": now,
            "archived": False,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            **stage,
            "metadata": {
                key: str(value).lower() if isinstance(value, bool) else str(value)
                for key, value in stage.get("metadata", {}).items()
            },
        }
        for position, stage in enumerate(given.get("stages", []))
    ]
    return {
        "label": given["id"],
        "displayOrder": order,
        "archived": False,
        "createdAt": now,
        "updatedAt": now,
        **given,
        "stages": stages,
    }


def default_pipelines() -> dict[str, dict[str, Json]]:
    """The pipelines a new portal has: object type -> pipeline id -> pipeline."""
    deals = {
        "id": "default",
        "label": "Sales Pipeline",
        "stages": [
            {
                "id": stage_id,
                "label": label,
                "metadata": {"isClosed": closed, "probability": probability},
            }
            for stage_id, label, probability, closed in DEALS
        ],
    }
    tickets = {
        "id": "0",
        "label": "Support Pipeline",
        "stages": [
            {"id": stage_id, "label": label, "metadata": {"ticketState": state}}
            for stage_id, label, state in TICKETS
        ],
    }
    return {
        "deals": {"default": pipeline(deals, 0, BEGINNING)},
        "tickets": {"0": pipeline(tickets, 0, BEGINNING)},
    }

"""HubSpot's error bodies (hubspot_api.md 2.9, 7, 8)."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

Json = dict[str, Any]


class ApiError(Exception):
    """An answer that is not a success: status, JSON body, extra headers."""

    def __init__(
        self, status: int, body: Json, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {body.get('message')}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def error(status: int, category: str, message: str, **more: Any) -> ApiError:
    body: Json = {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
        **more,
    }
    return ApiError(status, body)


def invalid(message: str, **more: Any) -> ApiError:
    return error(400, "VALIDATION_ERROR", message, **more)


def not_found(message: str = "resource not found") -> ApiError:
    return error(404, "OBJECT_NOT_FOUND", message)


def invalid_properties(
    problems: list[tuple[str, str, str]], portal_id: int
) -> ApiError:
    """400 for property values; `problems` are (name, code, message)."""
    details = [
        {
            "isValid": False,
            "message": message,
            "error": code,
            "name": name,
            "localizedErrorMessage": message,
            "portalId": portal_id,
        }
        for name, code, message in problems
    ]
    return invalid(
        "Property values were not valid: " + orjson.dumps(details).decode(),
        errors=[
            {"message": message, "code": code, "context": {"propertyName": [name]}}
            for name, code, message in problems
        ],
    )

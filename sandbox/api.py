"""Requests, and the way from a path to the function that answers it (1.1).

Dated (`/crm/objects/2026-09/…`) and v3/v4 (`/crm/v3/objects/…`) paths are the same
routes: both become `objects/…` before they are looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from sandbox.access import Token
from sandbox.errors import ApiError, invalid
from sandbox.objects import ObjectType
from sandbox.portal import Portal

VERSION = re.compile(r"20\d\d-(03|09)(-beta)?|v[134]")


@dataclass
class Request:
    """One request, as the handlers see it. `fault` bends the answer of a few reads."""

    portal: Portal
    method: str
    target: str  # path with query, as sent
    raw: bytes
    token: Token
    base_url: str
    route: tuple[str, ...]
    query: dict[str, list[str]]
    fault: str | None = None
    arguments: dict[str, str] = field(default_factory=dict)

    def body(self) -> Any:
        """The JSON body; an empty one is {}. Raises ApiError 400."""
        try:
            return orjson.loads(self.raw) if self.raw.strip() else {}
        except orjson.JSONDecodeError:
            raise invalid("Invalid input JSON") from None

    def inputs(self, most: int) -> list[dict[str, Any]]:
        """`inputs` of a batch, at least one and at most `most`."""
        body = self.body()
        inputs = body.get("inputs") if isinstance(body, dict) else None
        if not isinstance(inputs, list) or not all(isinstance(i, dict) for i in inputs):
            raise invalid("Invalid input JSON: `inputs` must be a list of objects")
        if not inputs:
            raise invalid("`inputs` must not be empty")
        if len(inputs) > most:
            raise invalid(
                f"The maximum number of inputs in this batch request is {most}"
            )
        return inputs

    def one(self, name: str, default: str | None = None) -> str | None:
        values = self.query.get(name)
        return values[-1] if values else default

    def flag(self, name: str) -> bool:
        # HubSpot's Python client sends `True`.
        return (self.one(name) or "").lower() == "true"

    def names(self, name: str) -> list[str]:
        """A comma-separated or repeated parameter."""
        return [
            part
            for value in self.query.get(name, [])
            for part in value.split(",")
            if part
        ]

    def limit(self, default: int, most: int) -> int:
        text = self.one("limit", str(default)) or ""
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise invalid(f"limit must be between 1 and {most}, not {text!r}")
        return int(text)

    def after(self) -> int:
        text = self.one("after", "0") or "0"
        if not text.isdigit():
            raise invalid(f"after {text!r} is not a cursor of this endpoint")
        return int(text)

    def kind(self, argument: str = "type") -> ObjectType:
        name = self.arguments[argument]
        try:
            return self.portal.kind(name)
        except KeyError:
            raise invalid(f"Unable to infer object type from: {name}") from None

    def link(self, after: str | int) -> str:
        """This very request with another `after`."""
        parts = urlsplit(self.target)
        kept = [p for p in parts.query.split("&") if p and not p.startswith("after=")]
        return f"{self.base_url}{parts.path}?{'&'.join([*kept, f'after={after}'])}"


Answer = tuple[int, Any]  # status, JSON body (None for an empty one)
Handler = Callable[[Request], Answer]
ROUTES: list[tuple[str, tuple[str, ...], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register a handler for e.g. `objects/{type}/search`."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, tuple(pattern.split("/")), handler))
        return handler

    return register


def normalise(target: str) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """A path's route without its version, and its query. Unknown paths give ()."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    segments = [unquote(part) for part in parts.path.strip("/").split("/")]
    match segments:
        case ["crm", version, *rest] if VERSION.fullmatch(version) and rest:
            return tuple(rest), query
        case ["crm", area, version, *rest] if VERSION.fullmatch(version):
            return (area, *rest), query
        case ["crm-object-schemas", version, *rest] if VERSION.fullmatch(version):
            return tuple(rest), query
        case ["account-info", version, *rest] if VERSION.fullmatch(version):
            return ("account-info", *rest), query
        case ["oauth", version, *rest] if VERSION.fullmatch(version):
            return ("oauth", *rest), query
        case ["webhooks-journal", area, version, *rest] if VERSION.fullmatch(version):
            # The journal of one data centre; this portal has no other.
            area = "journal" if area == "journal-local" else area
            return ("webhooks-journal", area, *rest), query
        case ["presigned", *rest]:
            return ("presigned", *rest), query
        case ["_sandbox", *rest]:
            return ("_sandbox", *rest), query
    return (), query


def find(method: str, path: tuple[str, ...]) -> tuple[Handler, dict[str, str]] | None:
    """The handler of a route. Raises ApiError 405 when only the method is wrong."""
    known = False
    for registered, pattern, handler in ROUTES:
        if len(pattern) != len(path):
            continue
        arguments: dict[str, str] = {}
        for expected, actual in zip(pattern, path, strict=True):
            if expected.startswith("{"):
                arguments[expected[1:-1]] = actual
            elif expected != actual:
                break
        else:
            if registered == method:
                return handler, arguments
            known = True
    if known:
        raise ApiError(405, {"status": "error", "message": "Method not allowed"})
    return None


def endpoint(method: str, path: tuple[str, ...]) -> str:
    """The class that calls are counted by: what a sync spends its budget on."""
    match path:
        case ["oauth" | "webhooks-journal" | "presigned", *_]:
            return "journal"
        case ["objects", _, "search"]:
            return "search"
        case ["objects", _, "batch", "read"]:
            return "batch_read"
        case ["objects", _] if method == "GET":
            return "list"
        case ["associations", _, _, "labels"] if method == "GET":
            return "definitions"
        case ["associations", _, _, "batch", "read"]:
            return "associations"
        case ["objects", _, _, "associations", _] if method == "GET":
            return "associations"
        case ["properties" | "pipelines" | "owners" | "schemas" | "account-info", *_]:
            return "definitions" if method == "GET" or path[-1] == "read" else "other"
    return "other"

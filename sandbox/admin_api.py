"""`/_sandbox/…`: what only a portal's own people could do, for other processes.

    GET  /_sandbox/calls                      {"calls": {...}, "requests": [...]}
    POST /_sandbox/calls/reset
    GET  /_sandbox/clock                      {"now": "..."}
    POST /_sandbox/clock                      {"set": "..."} | {"advance": s} | {}
    POST /_sandbox/faults                     {"kind", "path_contains", "times"}
                                              | {"rate", "seed", "kinds"} | {} (none)
    POST /_sandbox/settings                   {"index_lag": 5, ...}
    POST /_sandbox/do/{method}                arguments of that method of Portal

They need the portal's token and are not counted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.access import require
from sandbox.api import Answer, Request, route
from sandbox.errors import invalid, not_found
from sandbox.faults import TRANSIENT, Faults

METHODS = [
    "create",
    "update",
    "touch",
    "archive",
    "restore",
    "merge",
    "privacy_delete",
    "purge",
    "associate",
    "dissociate",
    "add_property",
    "update_property",
    "remove_property",
    "update_pipeline",
    "remove_pipeline",
    "add_owner",
    "archive_owner",
    "add_label",
    "record",
    "live_ids",
    "archived_ids",
]
SETTINGS = [
    "index_lag",
    "merge_creates_new_id",
    "merged_ids_readable",
    "associations_bump",
    "restore_bumps",
    "association_page",
    "inline_page",
    "latency_seconds",
]


@route("GET", "_sandbox/clock")
def read_clock(request: Request) -> Answer:
    return 200, {"now": request.portal.clock.now().isoformat()}


@route("POST", "_sandbox/clock")
def set_clock(request: Request) -> Answer:
    body, clock = request.body(), request.portal.clock
    if "set" in body:
        moment = datetime.fromisoformat(body["set"])
        clock.set(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    elif "advance" in body:
        clock.advance(float(body["advance"]))
    else:
        clock.run()
    return read_clock(request)


@route("POST", "_sandbox/faults")
def set_faults(request: Request) -> Answer:
    body, portal = request.body(), request.portal
    try:
        if "kind" in body:
            portal.faults.next(**body)
        elif "rate" in body:
            kinds = body.get("kinds", TRANSIENT)
            portal.faults = Faults(int(body.get("seed", 0)), float(body["rate"]), kinds)
        else:
            portal.faults.clear()
    except (TypeError, ValueError) as problem:
        raise invalid(str(problem)) from None
    return 200, {"injected": len(portal.faults.injected)}


@route("POST", "_sandbox/settings")
def change_settings(request: Request) -> Answer:
    for name, value in request.body().items():
        if name not in SETTINGS:
            raise invalid(f"unknown setting {name!r}; one of {', '.join(SETTINGS)}")
        setattr(request.portal, name, value)
    return 200, {name: getattr(request.portal, name) for name in SETTINGS}


@route("POST", "_sandbox/do/{method}")
def do(request: Request) -> Answer:
    return 200, {"result": _call(request, request.arguments["method"])}


@route("POST", "_sandbox/{method}")
def do_short(request: Request) -> Answer:
    """`POST /_sandbox/restore` reads better than `/_sandbox/do/restore`."""
    return do(request)


def _call(request: Request, method: str) -> Any:
    require(request.token)
    if method not in METHODS:
        raise not_found(f"unknown method {method!r}; one of {', '.join(METHODS)}")
    body = request.body()
    if method == "associate" and body.get("types"):
        body["types"] = [tuple(one) for one in body["types"]]
    try:
        return getattr(request.portal, method)(**body)
    except (KeyError, TypeError, ValueError) as problem:
        raise invalid(f"{method}: {problem}") from None

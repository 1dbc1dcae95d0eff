"""Properties, pipelines, owners, schemas and the account over HTTP (5, 6, 7, 8)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.access import require
from sandbox.api import Answer, Request, route
from sandbox.clock import iso, milliseconds
from sandbox.errors import ApiError, error, invalid, not_found
from sandbox.records_api import complete, now

Json = dict[str, Any]

OWNERS = ["crm.objects.owners.read", "automation"]
SCHEMAS = ["crm.schemas.custom.read", "crm.objects.custom.read"]


# Properties


@route("GET", "properties/{type}")
def list_properties(request: Request) -> Answer:
    """Every definition, unpaged; archived=true gives only the archived ones."""
    kind = request.kind()
    require(request.token, kind.schema_scopes())
    archived = request.flag("archived")
    known = request.portal.properties[kind.name].values()
    return 200, {"results": [one for one in known if one["archived"] is archived]}


@route("GET", "properties/{type}/groups")
def list_groups(request: Request) -> Answer:
    kind = request.kind()
    require(request.token, kind.schema_scopes())
    return 200, {"results": list(request.portal.groups[kind.name].values())}


@route("POST", "properties/{type}/groups")
def create_group(request: Request) -> Answer:
    kind, body = request.kind(), request.body()
    require(request.token, kind.schema_scopes("write"))
    if not body.get("name"):
        raise invalid("`name` is required")
    group = {"label": body["name"], "displayOrder": -1, "archived": False, **body}
    request.portal.groups[kind.name][body["name"]] = group
    return 201, group


@route("GET", "properties/{type}/{name}")
def read_property(request: Request) -> Answer:
    return 200, _property(request)


@route("POST", "properties/{type}")
def create_property(request: Request) -> Answer:
    kind, body, portal = request.kind(), request.body(), request.portal
    require(request.token, kind.schema_scopes("write"))
    needed = ("groupName", "name", "label", "type", "fieldType")
    lacking = [name for name in needed if not body.get(name)]
    if lacking:
        raise invalid(f"Some required fields were not set: {lacking}")
    if body["name"] in portal.live_properties(kind.name):
        raise error(
            409, "OBJECT_ALREADY_EXISTS", f"Property {body['name']!r} already exists."
        )
    return 201, portal.add_property(kind.name, body)


@route("PATCH", "properties/{type}/{name}")
def update_property(request: Request) -> Answer:
    kind = request.kind()
    require(request.token, kind.schema_scopes("write"))
    name = str(_property(request)["name"])
    return 200, request.portal.update_property(kind.name, name, request.body())


@route("DELETE", "properties/{type}/{name}")
def archive_property(request: Request) -> Answer:
    kind = request.kind()
    require(request.token, kind.schema_scopes("write"))
    known = _property(request)
    if not known["modificationMetadata"]["archivable"]:
        raise invalid(f"Property {known['name']!r} cannot be archived")
    request.portal.remove_property(kind.name, known["name"])
    return 204, None


@route("POST", "properties/{type}/batch/read")
def batch_read_properties(request: Request) -> Answer:
    kind, started = request.kind(), now(request)
    require(request.token, kind.schema_scopes())
    known = request.portal.live_properties(kind.name)
    names = [str(given.get("name")) for given in request.inputs(100)]
    missing = [name for name in names if name not in known]
    failures = [
        {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Some properties do not exist",
            "context": {"names": missing},
        }
    ]
    results = [known[name] for name in names if name in known]
    return complete(request, results, failures if missing else [], started)


def _property(request: Request) -> Json:
    kind = request.kind()
    require(request.token, kind.schema_scopes())
    known = request.portal.properties[kind.name].get(request.arguments["name"])
    if known is None or known["archived"] is not request.flag("archived"):
        raise not_found(f"Property {request.arguments['name']!r} does not exist")
    return known


# Pipelines


@route("GET", "pipelines/{type}")
def list_pipelines(request: Request) -> Answer:
    return 200, {"results": list(_pipelines(request).values())}


@route("GET", "pipelines/{type}/{pipeline}")
def read_pipeline(request: Request) -> Answer:
    return 200, _pipeline(request)


@route("GET", "pipelines/{type}/{pipeline}/stages")
def list_stages(request: Request) -> Answer:
    return 200, {"results": _pipeline(request)["stages"]}


@route("GET", "pipelines/{type}/{pipeline}/stages/{stage}")
def read_stage(request: Request) -> Answer:
    for stage in _pipeline(request)["stages"]:
        if stage["id"] == request.arguments["stage"]:
            return 200, stage
    raise not_found()


def _pipelines(request: Request) -> dict[str, Json]:
    kind = request.kind()
    require(request.token, kind.schema_scopes())
    return request.portal.pipelines.get(kind.name, {})


def _pipeline(request: Request) -> Json:
    found = _pipelines(request).get(request.arguments["pipeline"])
    if found is None:
        raise not_found()
    return found


# Owners


@route("GET", "owners")
def list_owners(request: Request) -> Answer:
    """Live or archived owners, paged; `after` is a position."""
    require(request.token, OWNERS)
    limit, after = request.limit(100, 500), request.after()
    email, archived = request.one("email"), request.flag("archived")
    known = [
        owner
        for owner in request.portal.owners
        if owner["archived"] is archived and (not email or owner["email"] == email)
    ]
    body: Json = {"results": known[after : after + limit]}
    if after + limit < len(known):
        cursor = str(after + limit)
        body["paging"] = {"next": {"after": cursor, "link": request.link(cursor)}}
    return 200, body


@route("GET", "owners/{id}")
def read_owner(request: Request) -> Answer:
    require(request.token, OWNERS)
    archived, key = request.flag("archived"), request.one("idProperty", "id")
    for owner in request.portal.owners:
        matches = str(owner.get(key or "id")) == request.arguments["id"]
        if matches and owner["archived"] is archived:
            return 200, owner
    raise not_found()


# Schemas


@route("GET", "schemas")
def list_schemas(request: Request) -> Answer:
    require(request.token, SCHEMAS)
    archived = request.flag("archived")
    return 200, {
        "results": [
            _schema(request, name)
            for name, schema in request.portal.schemas.items()
            if schema["archived"] is archived
        ]
    }


@route("GET", "schemas/{type}")
def read_schema(request: Request) -> Answer:
    require(request.token, SCHEMAS)
    kind = request.kind()
    if kind.name not in request.portal.schemas:
        raise not_found()
    return 200, _schema(request, kind.name, whole=True)


def _schema(request: Request, name: str, whole: bool = False) -> Json:
    """Dated versions list properties and associations only when asked to (6.6)."""
    schema = dict(request.portal.schemas[name])
    legacy = "/v3/" in request.target or whole
    if not (legacy or request.flag("includeAssociationDefinitions")):
        del schema["associations"]
    if legacy or request.flag("includePropertyDefinitions"):
        schema["properties"] = list(request.portal.live_properties(name).values())
    return schema


# The account


@route("GET", "account-info/details")
def account_details(request: Request) -> Answer:
    portal = request.portal
    offset = portal.clock.now().astimezone(ZoneInfo(portal.time_zone)).utcoffset()
    seconds = int((offset or timedelta()).total_seconds())
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return 200, {
        "portalId": portal.portal_id,
        "accountType": portal.account_type,
        "timeZone": portal.time_zone,
        "companyCurrency": portal.currency,
        "additionalCurrencies": ["EUR"],
        "utcOffset": f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}",
        "utcOffsetMilliseconds": seconds * 1000,
        "uiDomain": portal.ui_domain,
        "dataHostingLocation": portal.data_hosting_location,
    }


@route("GET", "account-info/api-usage/daily/private-apps")
def daily_usage(request: Request) -> Answer:
    portal = request.portal
    zone = ZoneInfo(portal.time_zone)
    tomorrow = portal.clock.now().astimezone(zone).date() + timedelta(days=1)
    resets = milliseconds(datetime.combine(tomorrow, time(), zone))
    return 200, {
        "results": [
            {
                "name": "private-apps-api-calls-daily",
                "usageLimit": portal.limits.daily,
                "currentUsage": portal.limits.used_today,
                "collectedAt": iso(portal.clock.now_ms()),
                "fetchStatus": "SUCCESS",
                "resetsAt": iso(resets),
            }
        ]
    }


@route("GET", "account-info/activity/audit-logs")
def audit_logs(request: Request) -> Answer:
    """An Enterprise feature that this portal does not have."""
    require(request.token, ["account-info.security.read"])
    raise ApiError(403, {"status": "error", "message": "Enterprise accounts only"})

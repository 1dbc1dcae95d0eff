"""The webhooks journal over HTTP, and the token it is read with (9.3, 7)."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from sandbox.access import require
from sandbox.api import Answer, Request, route
from sandbox.clock import iso
from sandbox.errors import ApiError, error, invalid, not_found
from sandbox.journal import ACTIONS, SCOPES, URL_SECONDS, Entry

Json = dict[str, Any]

READ, LIST, WRITE = SCOPES[0], SCOPES[1], SCOPES[2]
MOST = 100  # entries per batch


@route("POST", "oauth/token")
def token(request: Request) -> Answer:
    """`client_credentials` only: journal scopes, no refresh token."""
    portal = request.portal
    form = {k: v[-1] for k, v in parse_qs(request.raw.decode()).items()}
    if form.get("grant_type") != "client_credentials":
        raise _refused("BAD_GRANT_TYPE", "missing or unknown grant_type")
    if form.get("client_id") != portal.app[0]:
        raise _refused("BAD_CLIENT_ID", "missing or unknown client id")
    if form.get("client_secret") != portal.app[1]:
        raise _refused("BAD_CLIENT_SECRET", "missing or unknown client secret")
    scopes = frozenset((form.get("scope") or " ".join(SCOPES)).split())
    if not scopes <= set(SCOPES):
        raise _refused("BAD_SCOPE", "the app does not have all of these scopes")
    granted = portal.journal.grant(scopes)
    portal.tokens[granted.name] = granted
    return 200, {
        "access_token": granted.name,
        "expires_in": portal.journal.token_seconds,
        "token_type": "bearer",
        "scopes": sorted(scopes),
    }


def _refused(status: str, message: str) -> ApiError:
    return ApiError(
        400,
        {
            "status": status,
            "message": message,
            "correlationId": str(uuid.uuid4()),
            "error": "invalid_client",
            "error_description": message,
        },
    )


@route("GET", "webhooks-journal/journal/earliest")
def earliest(request: Request) -> Answer:
    _allow(request, READ)
    return _one(request, _kept(request)[:1])


@route("GET", "webhooks-journal/journal/latest")
def latest(request: Request) -> Answer:
    _allow(request, READ)
    return _one(request, _kept(request)[-1:])


@route("GET", "webhooks-journal/journal/offset/{offset}/next")
def following(request: Request) -> Answer:
    _allow(request, READ)
    return _one(request, _after(request))


@route("GET", "webhooks-journal/journal/batch/earliest/{count}")
def batch_earliest(request: Request) -> Answer:
    _allow(request, READ)
    return _many(request, _kept(request)[: _count(request)])


@route("GET", "webhooks-journal/journal/batch/latest/{count}")
def batch_latest(request: Request) -> Answer:
    _allow(request, READ)
    return _many(request, _kept(request)[-_count(request) :])


@route("GET", "webhooks-journal/journal/batch/{offset}/next/{count}")
def batch_following(request: Request) -> Answer:
    _allow(request, READ)
    return _many(request, _after(request)[: _count(request)])


@route("POST", "webhooks-journal/journal/batch/read")
def batch_read(request: Request) -> Answer:
    """Entries by offset; those that are not kept are errors of a 207."""
    _allow(request, READ)
    body = request.body()
    offsets = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(offsets, list) or len(offsets) > MOST:
        raise invalid(f"`inputs` must be a list of at most {MOST} offsets")
    kept = {entry.offset: entry for entry in _kept(request)}
    missing = [one for one in map(_uuid, offsets) if one not in kept]
    status, answer = _many(request, (kept[one] for one in offsets if one in kept))
    if missing:
        answer["numErrors"] = len(missing)
        answer["errors"] = [
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "message": "no such journal entry",
                "context": {"offset": [one]},
            }
            for one in missing
        ]
        status = 207
    return status, answer


@route("GET", "presigned/journal/{offset}")
def file(request: Request) -> Answer:
    """The file of an entry: the URL is the permission, and it does not last."""
    portal, offset = request.portal, request.arguments["offset"]
    expires = request.one("X-Amz-Expires", "") or ""
    given = request.one("X-Amz-Signature", "") or ""
    if expires.isdigit() and int(expires) > portal.clock.now_ms():
        right = portal.journal.sign(offset, int(expires), portal.app[1])
        if hmac.compare_digest(right, given):
            try:
                return 200, portal.journal.entry(offset).file()
            except KeyError:
                raise not_found() from None
    raise error(403, "ACCESS_DENIED", "Request has expired")


@route("GET", "webhooks-journal/subscriptions")
def subscriptions(request: Request) -> Answer:
    _allow(request, LIST)
    return 200, {"results": list(request.portal.journal.subscriptions.values())}


@route("POST", "webhooks-journal/subscriptions")
def subscribe(request: Request) -> Answer:
    """Create or change; only types that this portal knows and actions that fit."""
    _allow(request, WRITE)
    portal, body = request.portal, request.body()
    actions = ACTIONS.get(body.get("subscriptionType"))
    if actions is None:
        raise invalid(f"subscriptionType must be one of {', '.join(ACTIONS)}")
    if not body.get("actions") or not set(body["actions"]) <= set(actions):
        raise invalid(f"actions must be some of {', '.join(actions)}")
    if body.get("portalId") != portal.portal_id:
        raise error(403, "BANNED", "The app is not installed in this portal")
    for type_id in (body["objectTypeId"], *(body.get("associatedObjectTypeIds") or ())):
        if type_id not in {kind.type_id for kind in portal.kinds.values()}:
            raise invalid(f"unknown objectTypeId {type_id!r}")
    kept = ("subscriptionType", "portalId", "objectTypeId", "actions")
    lists = ("objectIds", "properties", "associatedObjectTypeIds")
    given = {name: body[name] for name in kept}
    return 200, portal.journal.subscribe(
        given | {name: body.get(name) or [] for name in lists}
    )


@route("GET", "webhooks-journal/subscriptions/{id}")
def subscription(request: Request) -> Answer:
    _allow(request, LIST)
    return 200, request.portal.journal.subscriptions[_known(request)]


@route("DELETE", "webhooks-journal/subscriptions/{id}")
def unsubscribe(request: Request) -> Answer:
    _allow(request, WRITE)
    request.portal.journal.unsubscribe([_known(request)])
    return 204, None


@route("DELETE", "webhooks-journal/subscriptions/portals/{portal}")
def unsubscribe_portal(request: Request) -> Answer:
    _allow(request, WRITE)
    if request.arguments["portal"] == str(request.portal.portal_id):
        request.portal.journal.unsubscribe(request.portal.journal.subscriptions)
    return 204, None


def _known(request: Request) -> int:
    text = request.arguments["id"]
    if not text.isdigit() or int(text) not in request.portal.journal.subscriptions:
        raise not_found()
    return int(text)


def _allow(request: Request, scope: str) -> None:
    """A service key, even with every scope, is no token of the app."""
    if request.token.name not in request.portal.journal.tokens:
        raise error(
            403, "MISSING_SCOPES", "Only a client credentials token reads the journal."
        )
    require(request.token, [scope])


def _kept(request: Request) -> list[Entry]:
    wanted = request.one("installPortalId")
    if wanted is not None and wanted != str(request.portal.portal_id):
        return []
    return request.portal.journal.entries()


def _after(request: Request) -> list[Entry]:
    try:
        return request.portal.journal.after(_uuid(request.arguments["offset"]))
    except KeyError:
        raise not_found("The offset has expired or does not exist.") from None


def _uuid(text: object) -> str:
    try:
        return str(uuid.UUID(str(text)))
    except ValueError:
        raise invalid(f"{text!r} is not a valid UUID") from None


def _count(request: Request) -> int:
    text = request.arguments["count"]
    if not text.isdigit() or not 1 <= int(text) <= MOST:
        raise invalid(f"count must be between 1 and {MOST}")
    return int(text)


def _one(request: Request, entries: list[Entry]) -> Answer:
    return (200, _shown(request, entries[0])) if entries else (204, None)


def _many(request: Request, entries: Iterable[Entry]) -> tuple[int, Json]:
    now = iso(request.portal.clock.now_ms())
    return 200, {
        "status": "COMPLETE",
        "startedAt": now,
        "completedAt": now,
        "results": [_shown(request, entry) for entry in entries],
    }


def _shown(request: Request, entry: Entry) -> Json:
    portal = request.portal
    expires = portal.clock.now_ms() + URL_SECONDS * 1000
    signature = portal.journal.sign(entry.offset, expires, portal.app[1])
    return {
        "url": f"{request.base_url}/presigned/journal/{entry.offset}"
        f"?X-Amz-Expires={expires}&X-Amz-Signature={signature}",
        "expiresAt": iso(expires),
        "currentOffset": entry.offset,
    }

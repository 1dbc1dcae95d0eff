"""Objects over HTTP: list, read, search, write, merge, privacy delete (2, 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.access import require
from sandbox.api import Answer, Request, route
from sandbox.associations import HUBSPOT
from sandbox.clock import iso, parse
from sandbox.errors import (
    ApiError,
    error,
    invalid,
    invalid_properties,
    not_found,
)
from sandbox.objects import ObjectType
from sandbox.properties import LIFECYCLE, read_only
from sandbox.store import Record

Json = dict[str, Any]
Write = Callable[[], Json | None]  # writes one checked row; None leaves no result

MOST_INPUTS = 100
MOST_WITH_HISTORY = 50


# Reading


@route("GET", "objects/{type}")
def list_records(request: Request) -> Answer:
    """A page by id ascending; `after` is the last id + 1; archived or live only."""
    kind = request.kind()
    require(request.token, kind.read_scopes())
    history = request.names("propertiesWithHistory")
    limit = request.limit(10, MOST_WITH_HISTORY if history else 100)
    names = wanted(request, kind, request.names("properties") + history)
    if request.fault == "empty_list":
        return 200, {"results": []}
    after, archived = request.after(), request.flag("archived")
    page: list[Record] = []
    following = False
    table = request.portal.tables[kind.name]
    for record in table.page(after, archived):
        if len(page) == limit:
            following = True
            break
        page.append(record)
    results = [
        render(request, kind, record, names, history, request.names("associations"))
        for record in page
    ]
    if request.fault == "duplicate" and after:
        rows = table.archived if archived else table.live
        before = [record for record in rows if record.id < after][-1:]
        results[:0] = [render(request, kind, one, names, history) for one in before]
    body: Json = {"results": results}
    if following:
        cursor = str(page[-1].id + 1)
        body["paging"] = {"next": {"after": cursor, "link": request.link(cursor)}}
    return 200, body


@route("GET", "objects/{type}/{id}")
def read_record(request: Request) -> Answer:
    """One record; a merged-away id answers with its survivor (2.8)."""
    kind = request.kind()
    require(request.token, kind.read_scopes())
    history = request.names("propertiesWithHistory")
    names = wanted(request, kind, request.names("properties") + history)
    record = locate(request, kind, request.arguments["id"], request.one("idProperty"))
    state = "archived" if request.flag("archived") else "live"
    if record is None or record.state != state:
        raise not_found()
    links = request.names("associations")
    return 200, render(request, kind, record, names, history, links)


@route("POST", "objects/{type}/batch/read")
def batch_read(request: Request) -> Answer:
    """Found records, shuffled; the ids that were not found in one 207 error."""
    kind = request.kind()
    require(request.token, kind.read_scopes())
    portal, started = request.portal, now(request)
    inputs, body = request.inputs(MOST_INPUTS), request.body()
    history = list(body.get("propertiesWithHistory") or [])
    if history and len(inputs) > MOST_WITH_HISTORY:
        raise invalid(
            "The maximum number of inputs supported in a batch request for property "
            f"histories is {MOST_WITH_HISTORY}. Please reduce the number of items and "
            "try again"
        )
    names = wanted(request, kind, list(body.get("properties") or []) + history)
    state = "archived" if request.flag("archived") else "live"
    found: dict[int, Record] = {}
    missing: list[str] = []
    for given in inputs:
        text = str(given.get("id"))
        record = locate(
            request, kind, text, body.get("idProperty"), portal.merged_ids_readable
        )
        if record is None or record.state != state:
            missing.append(text)
        else:
            found[record.id] = record
    # HubSpot promises no order; a fixed scramble keeps runs comparable.
    records = sorted(found.values(), key=lambda record: record.id * 2654435761 % 4093)
    results = [render(request, kind, record, names, history) for record in records]
    failures = [
        {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": f"Could not get some {kind.singular.upper()} objects, they may "
            "be deleted or not exist. Check that ids are valid.",
            "context": {"ids": missing},
        }
    ]
    return complete(request, results, failures if missing else [], started)


@route("POST", "objects/{type}/search")
def search(request: Request) -> Answer:
    """What the index knows: never archived, perhaps a little old."""
    kind = request.kind()
    require(request.token, kind.read_scopes())
    body = request.body()
    total, page, after = request.portal.searches[kind.name].run(body)
    if request.fault == "empty_search":
        return 200, {"total": 0, "results": []}
    names = wanted(request, kind, list(body.get("properties") or []))
    results = [
        {
            "id": str(record.id),
            "properties": {name: (record.indexed or {}).get(name) for name in names},
            "createdAt": iso(record.created),
            "updatedAt": iso(record.indexed_updated),
            "archived": False,
            "url": url(request, kind, record),
        }
        for record in page
    ]
    if request.fault == "duplicate" and results:
        results.append(results[0])
    answer: Json = {"total": total, "results": results}
    if after is not None:
        answer["paging"] = {"next": {"after": after}}
    return 200, answer


def wanted(request: Request, kind: ObjectType, asked: list[str]) -> list[str]:
    """Names to return: those asked for (else the defaults) that are defined."""
    known = request.portal.properties[kind.name]
    names = dict.fromkeys([*kind.always, *(asked or kind.defaults)])
    return [n for n in names if n in known and not known[n]["archived"]]


def locate(
    request: Request,
    kind: ObjectType,
    text: str,
    id_property: str | None = None,
    follow_merges: bool = True,
) -> Record | None:
    """A record by id, or by the value of a unique property. Raises ApiError 400."""
    table = request.portal.tables[kind.name]
    if id_property and id_property != "hs_object_id":
        known = request.portal.properties[kind.name].get(id_property)
        if known is None or not known["hasUniqueValue"]:
            raise invalid(f"Property {id_property!r} has no unique values")
        lowered = text.lower()
        for record in (*table.live, *table.archived):
            if (record.properties.get(id_property) or "").lower() == lowered:
                return record
        return None
    if not text.isdigit():
        return None
    return table.survivor(int(text)) if follow_merges else table.records.get(int(text))


def render(
    request: Request,
    kind: ObjectType,
    record: Record,
    names: list[str],
    history: list[str] | None = None,
    associations: list[str] | None = None,
) -> Json:
    values = record.properties
    row: Json = {
        "id": str(record.id),
        "properties": {name: values.get(name) for name in names},
        "createdAt": iso(record.created),
        "updatedAt": iso(record.updated),
        "archived": record.state == "archived",
        "url": url(request, kind, record),
    }
    if record.archived_at is not None:
        row["archivedAt"] = iso(record.archived_at)
    if history:
        row["propertiesWithHistory"] = {
            name: past(record, name) for name in history if name in names
        }
    if associations:
        inline = inline_associations(request, kind, record, associations)
        if inline:
            row["associations"] = inline
    return row


def url(request: Request, kind: ObjectType, record: Record) -> str:
    portal = request.portal
    return (
        f"https://{portal.ui_domain}/contacts/{portal.portal_id}"
        f"/record/{kind.type_id}/{record.id}"
    )


def past(record: Record, name: str) -> list[Json]:
    """Old values, newest first."""
    versions = (record.history or {}).get(name)
    if versions is None:
        value = record.properties.get(name)
        versions = [] if value is None else [(value, record.created)]
    return [
        {
            "value": value or "",
            "timestamp": iso(at),
            "sourceType": "CRM_UI",
            "sourceId": "userId:9000001",
            "sourceLabel": None,
            "updatedByUserId": 9000001,
        }
        for value, at in reversed(versions)
    ]


def inline_associations(
    request: Request, kind: ObjectType, record: Record, others: list[str]
) -> Json:
    """Ids per type, once per association type of the pair, the first page only."""
    portal, found = request.portal, {}
    for name in others:
        try:
            other = portal.kind(name)
        except KeyError:
            continue  # HubSpot ignores unknown types here
        labels = portal.associations.labels.get((kind.name, other.name), {})
        partners = list(portal.partners(kind.name, record.id, other.name).items())
        results: list[Json] = []
        plain = f"{kind.singular}_to_{other.singular}"
        has_primary = any(label.label == "Primary" for label in labels.values())
        for to_id, types in partners[: portal.inline_page]:
            for key in types:
                label = labels[key].label
                if label is None:
                    type_ = f"{plain}_unlabeled" if has_primary else plain
                elif label == "Primary" and key[0] == HUBSPOT:
                    type_ = plain
                else:
                    type_ = re.sub(r"\W+", "_", label.lower())
                results.append({"id": str(to_id), "type": type_})
        if not results:
            continue
        group: Json = {"results": results}
        if len(partners) > portal.inline_page:
            cursor = str(partners[portal.inline_page][0])
            path = request.target.partition("?")[0].rstrip("/")
            base = path if path.endswith(f"/{record.id}") else f"{path}/{record.id}"
            group["paging"] = {
                "next": {
                    "after": cursor,
                    "link": f"{request.base_url}{base}/associations/{other.name}"
                    f"?after={cursor}",
                }
            }
        schema = portal.schemas.get(other.name)
        found[schema["fullyQualifiedName"] if schema else other.name] = group
    return found


def now(request: Request) -> str:
    return iso(request.portal.clock.now_ms())


def complete(
    request: Request,
    results: list[Json],
    errors: list[Json],
    started: str,
    success: int = 200,
) -> Answer:
    """A batch answer: 207 with `errors` when some failed."""
    body: Json = {"status": "COMPLETE", "results": results}
    if errors:
        body["numErrors"] = len(errors)
        body["errors"] = errors
    body["startedAt"], body["completedAt"] = started, now(request)
    return (207 if errors else success), body


# Writing


@route("POST", "objects/{type}")
def create_record(request: Request) -> Answer:
    kind = request.kind()
    require(request.token, kind.write_scopes())
    return 201, shown(request, kind, creation(request, kind, request.body())())


@route("PATCH", "objects/{type}/{id}")
def update_record(request: Request) -> Answer:
    """Merged-away ids work here, unlike in the batch (2.6)."""
    kind = request.kind()
    require(request.token, kind.write_scopes())
    record = locate(request, kind, request.arguments["id"], request.one("idProperty"))
    if record is None or record.state != "live":
        raise not_found()
    return 200, updating(request, kind, record, request.body())()


@route("DELETE", "objects/{type}/{id}")
def archive_record(request: Request) -> Answer:
    kind = request.kind()
    require(request.token, kind.write_scopes())
    record = locate(request, kind, request.arguments["id"], follow_merges=False)
    if record is not None and record.state == "live":
        request.portal.archive(kind.name, record.id)
    return 204, None


@route("POST", "objects/{type}/batch/create")
def batch_create(request: Request) -> Answer:
    kind = request.kind()

    def prepare(given: Json) -> Write:
        make = creation(request, kind, given)
        return lambda: shown(request, kind, make())

    return batch(request, kind, prepare, 201)


@route("POST", "objects/{type}/batch/update")
def batch_update(request: Request) -> Answer:
    kind = request.kind()

    def prepare(given: Json) -> Write:
        record = locate(
            request, kind, str(given.get("id")), given.get("idProperty"), False
        )
        if record is not None and record.state == "merged":
            return lambda: None  # silently missing from `results`
        if record is None or record.state != "live":
            raise not_found()
        return updating(request, kind, record, given)

    return batch(request, kind, prepare, 200)


@route("POST", "objects/{type}/batch/upsert")
def batch_upsert(request: Request) -> Answer:
    kind = request.kind()

    def prepare(given: Json) -> Write:
        key, value = given.get("idProperty"), str(given.get("id"))
        if not key:
            raise invalid("`idProperty` is required for an upsert")
        record = locate(request, kind, value, key)
        if record is not None and record.state == "live":
            write = updating(request, kind, record, given)
            return lambda: {**(write() or {}), "new": False}
        values = {key: value, **(given.get("properties") or {})}
        make = creation(request, kind, {"properties": values})
        return lambda: {**shown(request, kind, make()), "new": True}

    return batch(request, kind, prepare, 200)


def updating(request: Request, kind: ObjectType, record: Record, given: Json) -> Write:
    values = checked(request, kind, given.get("properties") or {}, record)

    def write() -> Json:
        request.portal.update(kind.name, record.id, values)
        return shown(request, kind, record)

    return write


@route("POST", "objects/{type}/batch/archive")
def batch_archive(request: Request) -> Answer:
    kind = request.kind()
    require(request.token, kind.write_scopes())
    for given in request.inputs(MOST_INPUTS):
        record = locate(request, kind, str(given.get("id")), follow_merges=False)
        if record is not None and record.state == "live":
            request.portal.archive(kind.name, record.id)
    return 204, None


@route("POST", "objects/{type}/merge")
def merge_records(request: Request) -> Answer:
    kind, portal, body = request.kind(), request.portal, request.body()
    require(request.token, kind.write_scopes())
    if not kind.mergeable:
        raise invalid(f"{kind.singular} records cannot be merged")
    winner, loser = str(body.get("primaryObjectId")), str(body.get("objectIdToMerge"))
    for text in (winner, loser):
        record = locate(request, kind, text, follow_merges=False)
        if record is None or record.state != "live":
            raise not_found()
    if winner == loser:
        raise invalid("a record cannot be merged with itself")
    kept = portal.merge(kind.name, winner, loser, portal.merge_creates_new_id)
    survivor = portal.tables[kind.name].records[int(kept)]
    return 200, shown(request, kind, survivor)


@route("POST", "objects/{type}/gdpr-delete")
def privacy_delete(request: Request) -> Answer:
    """Erase at once; an unknown e-mail address is blocked all the same (2.7)."""
    kind, body = request.kind(), request.body()
    require(request.token, kind.write_scopes())
    text, key = str(body.get("objectId")), body.get("idProperty")
    record = locate(request, kind, text, key, follow_merges=False)
    if record is not None and record.state != "merged":
        request.portal.privacy_delete(kind.name, record.id)
    elif key == "email":
        request.portal.blocked_emails.add(text.lower())
    else:
        raise not_found()
    return 204, None


def shown(request: Request, kind: ObjectType, record: Record) -> Json:
    """What a write answers with: every property that has a value."""
    return render(request, kind, record, wanted(request, kind, list(record.properties)))


def creation(request: Request, kind: ObjectType, given: Json) -> Callable[[], Record]:
    """Check a new record; the result creates it. Raises ApiError 400 or 409."""
    portal = request.portal
    values = checked(request, kind, given.get("properties") or {}, None)
    lacking = [name for name in kind.required if not values.get(name)]
    if kind.name == "companies" and not (values.get("name") or values.get("domain")):
        lacking = ["name", "domain"]
    if lacking:
        raise invalid_properties(
            [(n, "REQUIRED_FIELD", f"Property {n!r} is required") for n in lacking],
            portal.portal_id,
        )

    def make() -> Record:
        number = portal.create(kind.name, values)
        for link in given.get("associations") or []:
            link_new(request, kind, number, link)
        return portal.tables[kind.name].records[int(number)]

    return make


def link_new(request: Request, kind: ObjectType, number: str, link: Json) -> None:
    """Associations of a created record: the target's type follows from the type id."""
    portal = request.portal
    for given in link.get("types") or []:
        key = (str(given["associationCategory"]), int(given["associationTypeId"]))
        for (source, target), labels in portal.associations.labels.items():
            if source == kind.name and key in labels:
                try:
                    portal.associate(source, number, target, link["to"]["id"], [key])
                except KeyError:
                    raise invalid(f"no {target} record {link['to']['id']}") from None
                break
        else:
            raise invalid(f"association type {key[1]} is not one of {kind.name}")


def checked(
    request: Request, kind: ObjectType, given: Json, record: Record | None
) -> dict[str, str | None]:
    """Values as HubSpot would store them. Raises ApiError 400, or 409 for an e-mail.

    "" clears, a leading `;` appends to several values, lifecycle moves only forward.
    """
    portal = request.portal
    known = portal.live_properties(kind.name)
    values: dict[str, str | None] = {}
    problems: list[tuple[str, str, str]] = []
    for name, raw in given.items():
        text = str(raw).lower() if isinstance(raw, bool) else str(raw or "")
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            text = str(raw)
        problem = refuse(known.get(name), name, text)
        if problem is not None:
            problems.append((name, *problem))
            continue
        before = record.properties.get(name) if record else None
        if text.startswith(";") and known[name]["fieldType"] == "checkbox":
            parts = dict.fromkeys([*(before or "").split(";"), *text.split(";")])
            text = ";".join(filter(None, parts))
        if name == "lifecyclestage" and before and text:
            order = LIFECYCLE.split(",")
            if text in order and before in order:
                text = max(before, text, key=order.index)
        values[name] = text or None
    if problems:
        raise invalid_properties(problems, portal.portal_id)
    email = values.get("email") if kind.name == "contacts" else None
    if email:
        owner = locate(request, kind, email, "email")
        if owner is not None and owner.state == "live" and owner is not record:
            raise error(
                409,
                "CONFLICT",
                f"Contact already exists. Existing ID: {owner.id}",
            )
        if email.lower() in portal.blocked_emails:
            raise invalid(f"{email} was privacy-deleted and is blocked")
    return values


def refuse(known: Json | None, name: str, text: str) -> tuple[str, str] | None:
    """(code, message) when HubSpot would not take the value."""
    if known is None:
        return "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
    if read_only(known):
        return "READ_ONLY_VALUE", f'"{name}" is a read only property'
    if not text:
        return None
    match known["type"]:
        case "number":
            try:
                float(text)
            except ValueError:
                return "INVALID_INTEGER", f"{text} was not a valid number."
        case "date" | "datetime" if parse(text) is None:
            return "INVALID_DATE", f"{text} was not a valid date."
        case "bool" if text not in ("true", "false"):
            return "INVALID_OPTION", f"{text} was not one of the allowed options"
        case "enumeration" if not known["externalOptions"]:
            allowed = {option["value"] for option in known["options"]}
            given = text.split(";") if known["fieldType"] == "checkbox" else [text]
            if not {one for one in given if one} <= allowed:
                return "INVALID_OPTION", f"{text} was not one of the allowed options"
        case "string" if name == "email" and "@" not in text:
            return "INVALID_EMAIL", f"Email address {text} is invalid"
    return None


def batch(
    request: Request,
    kind: ObjectType,
    prepare: Callable[[Json], Write],
    success: int,
) -> Answer:
    """Rows fail one by one only when each carries its own objectWriteTraceId (2.6).

    Otherwise one bad row fails all of them with 400, and nothing is written: every row
    is prepared before the first is.
    """
    require(request.token, kind.write_scopes())
    inputs, started = request.inputs(MOST_INPUTS), now(request)
    traces = [given.get("objectWriteTraceId") for given in inputs]
    writes: list[tuple[Any, Write]] = []
    errors: list[Json] = []
    for given, trace in zip(inputs, traces, strict=True):
        try:
            writes.append((trace, prepare(given)))
        except ApiError as failure:
            if None in traces or len(set(traces)) < len(traces):
                raise ApiError(400, failure.body) from None
            errors.append(
                {
                    "status": "error",
                    "category": failure.body["category"],
                    "message": failure.body["message"],
                    "context": {"objectWriteTraceId": [trace]},
                }
            )
    results: list[Json] = []
    for trace, write in writes:
        done = write()
        if done is not None:
            results.append({**done, "objectWriteTraceId": trace} if trace else done)
    return complete(request, results, errors, started, success)

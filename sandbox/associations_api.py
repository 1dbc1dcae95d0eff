"""Associations over HTTP (hubspot_api.md 4)."""

from __future__ import annotations

from typing import Any

from sandbox.access import require
from sandbox.api import Answer, Request, route
from sandbox.associations import TypeKey
from sandbox.errors import invalid, not_found
from sandbox.objects import ObjectType
from sandbox.records_api import complete, now

Json = dict[str, Any]

MOST_READ = 1000
MOST_WRITTEN = 2000
PER_PAGE = 500  # of one record


@route("GET", "associations/{from}/{to}/labels")
def labels(request: Request) -> Answer:
    source, target = _pair(request, "read")
    known = request.portal.associations.labels.get((source.name, target.name), {})
    return 200, {
        "results": [
            {"category": label.category, "typeId": label.type_id, "label": label.label}
            for label in known.values()
        ]
    }


@route("POST", "associations/{from}/{to}/labels")
def create_label(request: Request) -> Answer:
    source, target = _pair(request, "write")
    body, portal = request.body(), request.portal
    if not body.get("label"):
        raise invalid("`label` is required")
    inverse = body.get("inverseLabel")
    key = portal.add_label(source.name, target.name, body["label"], inverse)
    both = [portal.associations.labels[source.name, target.name][key]]
    if inverse:
        both.append(
            portal.associations.labels[target.name, source.name][both[0].mirror]
        )
    return 201, {
        "results": [
            {"category": label.category, "typeId": label.type_id, "label": label.label}
            for label in both
        ]
    }


@route("POST", "associations/{from}/{to}/batch/read")
def batch_read(request: Request) -> Answer:
    """Partners per record, paged per record.

    A record without any is no result but a 207 error NO_ASSOCIATIONS_FOUND.
    """
    source, target = _pair(request, "read")
    portal, started = request.portal, now(request)
    results: list[Json] = []
    errors: list[Json] = []
    # The same id twice is answered once.
    inputs = {str(i.get("id")): i.get("after") for i in request.inputs(MOST_READ)}
    for text, cursor in inputs.items():
        if not text.isdigit() or not str(cursor or 0).isdigit():
            raise invalid(f"Invalid input: id {text!r}, after {cursor!r}")
        to, after = _partners(
            request,
            source,
            int(text),
            target,
            int(cursor or 0),
            portal.association_page,
        )
        if not to:
            errors.append(_none_found(source, text, target))
            continue
        result: Json = {"from": {"id": text}, "to": to}
        if after is not None:
            path = f"/crm/v4/objects/{source.name}/{text}/associations/{target.name}"
            result["paging"] = {
                "next": {
                    "after": after,
                    "link": f"{request.base_url}{path}?after={after}",
                }
            }
        results.append(result)
    return complete(request, results, errors, started)


@route("GET", "objects/{type}/{id}/associations/{to}")
def read_one(request: Request) -> Answer:
    source, target = request.kind(), request.kind("to")
    require(request.token, source.read_scopes(), target.read_scopes())
    record = _live(request, source, request.arguments["id"])
    limit = request.limit(PER_PAGE, PER_PAGE)
    to, after = _partners(request, source, record, target, request.after(), limit)
    body: Json = {"results": to}
    if after is not None:
        body["paging"] = {"next": {"after": after, "link": request.link(after)}}
    return 200, body


def _partners(
    request: Request,
    source: ObjectType,
    record: int,
    target: ObjectType,
    cursor: int,
    limit: int,
) -> tuple[list[Json], str | None]:
    """Partners with id >= cursor and the next cursor; `toObjectId` is a number."""
    portal = request.portal
    known = portal.associations.labels.get((source.name, target.name), {})
    to: list[Json] = []
    for other, types in portal.partners(source.name, record, target.name).items():
        if other < cursor:
            continue
        if len(to) == limit:
            return to, str(other)
        to.append(
            {
                "toObjectId": other,
                "associationTypes": [
                    {"category": key[0], "typeId": key[1], "label": known[key].label}
                    for key in types
                ],
            }
        )
    return to, None


def _none_found(source: ObjectType, text: str, target: ObjectType) -> Json:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {target.singular} is associated with {source.singular} {text}.",
        "context": {
            "fromObjectId": [text],
            "fromObjectType": [source.singular],
            "toObjectType": [target.singular],
        },
    }


# Writing


@route("PUT", "objects/{type}/{id}/associations/default/{to}/{to_id}")
def put_default(request: Request) -> Answer:
    source, target = _ends(request)
    started = now(request)
    from_id, to_id = _ids(request, source, target)
    request.portal.associate(source.name, from_id, target.name, to_id)
    return complete(
        request, _both(request, source, from_id, target, to_id), [], started
    )


@route("PUT", "objects/{type}/{id}/associations/{to}/{to_id}")
def put_labelled(request: Request) -> Answer:
    """Replaces the labels of the pair."""
    source, target = _ends(request)
    from_id, to_id = _ids(request, source, target)
    body = request.body()
    if not isinstance(body, list) or not body:
        raise invalid("a list of association types is required")
    _replace(request, source, from_id, target, to_id, _types(body))
    return 201, _edge(request, source, from_id, target, to_id)


@route("DELETE", "objects/{type}/{id}/associations/{to}/{to_id}")
def delete(request: Request) -> Answer:
    source, target = _ends(request)
    from_id, to_id = _ids(request, source, target)
    request.portal.dissociate(source.name, from_id, target.name, to_id)
    return 204, None


@route("POST", "associations/{from}/{to}/batch/associate/default")
def batch_default(request: Request) -> Answer:
    source, target = _pair(request, "write")
    return _batch(request, source, target, None)


@route("POST", "associations/{from}/{to}/batch/create")
def batch_create(request: Request) -> Answer:
    source, target = _pair(request, "write")
    return _batch(request, source, target, "types")


@route("POST", "associations/{from}/{to}/batch/archive")
def batch_archive(request: Request) -> Answer:
    source, target = _pair(request, "write")
    for given in request.inputs(MOST_WRITTEN):
        for to in given.get("to") or []:
            _dissociate(request, source, given["from"]["id"], target, to["id"], None)
    return _archived(request)


@route("POST", "associations/{from}/{to}/batch/labels/archive")
def batch_labels_archive(request: Request) -> Answer:
    source, target = _pair(request, "write")
    for given in request.inputs(MOST_WRITTEN):
        ends = given["from"]["id"], target, given["to"]["id"]
        _dissociate(request, source, *ends, _types(given.get("types") or []))
    return _archived(request)


def _archived(request: Request) -> Answer:
    """v4 answers 204, dated versions 200."""
    return (204, None) if "/v4/" in request.target else (200, {"status": "COMPLETE"})


def _batch(
    request: Request, source: ObjectType, target: ObjectType, types: str | None
) -> Answer:
    started, results, errors = now(request), [], []
    for given in request.inputs(MOST_WRITTEN):
        first, second = str(given["from"]["id"]), str(given["to"]["id"])
        tables = request.portal.tables
        ends = ((source, first), (target, second))
        missing = [
            text
            for kind, text in ends
            if not text.isdigit()
            or int(text) not in tables[kind.name].records
            or tables[kind.name].records[int(text)].state != "live"
        ]
        if missing:
            errors.append(
                {
                    "status": "error",
                    "category": "OBJECT_NOT_FOUND",
                    "message": "One or more objects do not exist.",
                    "context": {"ids": missing},
                }
            )
            continue
        from_id, to_id = int(first), int(second)
        if types is None:
            request.portal.associate(source.name, from_id, target.name, to_id)
        else:
            given_types = _types(given.get("types") or [])
            _replace(request, source, from_id, target, to_id, given_types)
        results.append(_edge(request, source, from_id, target, to_id))
    return complete(request, results, errors, started, 200 if types is None else 201)


def _replace(
    request: Request,
    source: ObjectType,
    from_id: int,
    target: ObjectType,
    to_id: int,
    types: list[TypeKey],
) -> None:
    portal = request.portal
    known = portal.associations.labels.get((source.name, target.name), {})
    for key in types:
        if key not in known:
            raise invalid(
                f"association type {key[1]} ({key[0]}) does not exist between "
                f"{source.singular} and {target.singular}"
            )
    present = portal.partners(source.name, from_id, target.name).get(to_id, ())
    plain = portal.associations.unlabeled(source.name, target.name)
    old = [key for key in present if key not in types and key != plain]
    portal.associate(source.name, from_id, target.name, to_id, types)
    if old:
        portal.dissociate(source.name, from_id, target.name, to_id, old)


def _dissociate(
    request: Request,
    source: ObjectType,
    first: Any,
    target: ObjectType,
    second: Any,
    types: list[TypeKey] | None,
) -> None:
    try:
        request.portal.dissociate(
            source.name, str(first), target.name, str(second), types
        )
    except (KeyError, ValueError):
        return  # nothing to remove


def _types(given: list[Json]) -> list[TypeKey]:
    try:
        return [
            (str(one["associationCategory"]), int(one["associationTypeId"]))
            for one in given
        ]
    except (KeyError, TypeError, ValueError):
        raise invalid("associationCategory and associationTypeId needed") from None


def _edge(
    request: Request, source: ObjectType, from_id: int, target: ObjectType, to_id: int
) -> Json:
    portal = request.portal
    known = portal.associations.labels.get((source.name, target.name), {})
    types = portal.partners(source.name, from_id, target.name).get(to_id, ())
    return {
        "fromObjectTypeId": source.type_id,
        "fromObjectId": from_id,
        "toObjectTypeId": target.type_id,
        "toObjectId": to_id,
        "labels": [known[key].label for key in types if known[key].label],
    }


def _both(
    request: Request, source: ObjectType, from_id: int, target: ObjectType, to_id: int
) -> list[Json]:
    """The batch-style rows of a default association, one per direction."""
    associations = request.portal.associations
    rows = []
    for a, a_id, b, b_id in (
        (source, from_id, target, to_id),
        (target, to_id, source, from_id),
    ):
        key = associations.unlabeled(a.name, b.name) or ("", 0)
        spec = {"associationCategory": key[0], "associationTypeId": key[1]}
        ends = {"from": {"id": str(a_id)}, "to": {"id": str(b_id)}}
        rows.append({**ends, "associationSpec": spec})
    return rows


def _pair(request: Request, action: str) -> tuple[ObjectType, ObjectType]:
    source, target = request.kind("from"), request.kind("to")
    if action == "read":
        require(request.token, source.read_scopes(), target.read_scopes())
    else:
        require(request.token, source.write_scopes(), target.write_scopes())
    return source, target


def _ends(request: Request) -> tuple[ObjectType, ObjectType]:
    source, target = request.kind(), request.kind("to")
    require(request.token, source.write_scopes(), target.write_scopes())
    return source, target


def _ids(request: Request, source: ObjectType, target: ObjectType) -> tuple[int, int]:
    arguments = request.arguments
    if (source.name, target.name) not in request.portal.associations.labels:
        raise invalid(f"{source.singular} and {target.singular} cannot be associated")
    return (
        _live(request, source, arguments["id"]),
        _live(request, target, arguments["to_id"]),
    )


def _live(request: Request, kind: ObjectType, text: str) -> int:
    records = request.portal.tables[kind.name].records
    if not text.isdigit() or int(text) not in records:
        raise not_found()
    if records[int(text)].state != "live":
        raise not_found()
    return int(text)

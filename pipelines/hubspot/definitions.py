"""What a portal says of itself: account, types, properties, pipelines, owners.

Facts: hubspot_api.md 5 (properties), 6.1 (pipelines), 6.2 (owners), 6.6 (schemas),
7 (account details). One call each; owners page by 100 and are read live and archived,
because records keep pointing at people who left.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipelines.errors import ConfigurationError
from pipelines.hubspot.client import HubSpot, NotFound
from pipelines.hubspot.columns import column_name
from pipelines.hubspot.objects import STANDARD, ObjectType
from pipelines.hubspot.records import parse_time

Json = dict[str, Any]

_WITH_PIPELINES = ("deals", "tickets")
_OWNERS_PAGE = "100"


@dataclass(frozen=True)
class Definitions:
    """HubSpot's JSON, by object type where it has one."""

    portal: Json
    object_types: dict[str, ObjectType]
    properties: dict[str, list[Json]]
    pipelines: dict[str, list[Json]]
    owners: list[Json]
    links: dict[str, set[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_definitions(client: HubSpot) -> Definitions:
    """Every definition, eight calls at a time.

    Raises ConfigurationError for a wrong token, a missing scope, another portal than
    the configured one, or an object type that does not exist.
    """
    version = client.settings.api_version
    portal = client.get(f"/account-info/{version}/details", None, "definitions")
    _check_portal(client, portal)
    types = _standard_types(client)
    links: dict[str, set[str]] = {}
    if client.settings.custom_objects != ():
        for each, linked in _custom_types(client, set(types)):
            types[each.name] = each
            links[each.name] = linked
    notes: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        reading = {
            name: pool.submit(_all, client, f"/crm/properties/{version}/{each.path}")
            for name, each in types.items()
        }
        people = pool.submit(_owners, client)
        properties: dict[str, list[Json]] = {}
        for name, future in reading.items():
            try:
                properties[name] = future.result()
            except NotFound:
                notes.append(f"This portal has no {name}; its table stays as it is.")
        staged = [
            name
            for name in types
            if name in _WITH_PIPELINES
            or (types[name].is_custom and _has_pipeline(properties.get(name, [])))
        ]
        lines = {
            name: pool.submit(
                _all, client, f"/crm/pipelines/{version}/{types[name].path}"
            )
            for name in staged
            if name in properties
        }
        pipelines = {name: future.result() for name, future in lines.items()}
        owners = people.result()
    present = {name: each for name, each in types.items() if name in properties}
    return Definitions(portal, present, properties, pipelines, owners, links, notes)


def _check_portal(client: HubSpot, portal: Json) -> None:
    expected = client.settings.portal_id
    actual = str(portal.get("portalId"))
    if expected is not None and expected != actual:
        raise ConfigurationError(
            f"The token belongs to HubSpot portal {actual}, but "
            f"SOURCES__HUBSPOT__PORTAL_ID says {expected}. Nothing was read or changed."
        )


def _standard_types(client: HubSpot) -> dict[str, ObjectType]:
    types = {}
    for name in client.settings.objects:
        if name not in STANDARD:
            raise ConfigurationError(
                f"SOURCES__HUBSPOT__OBJECTS names {name!r}; known are "
                f"{', '.join(STANDARD)}. Custom objects belong in "
                "SOURCES__HUBSPOT__CUSTOM_OBJECTS. Nothing was read or changed."
            )
        types[name] = STANDARD[name]
    return types


def _custom_types(
    client: HubSpot, taken: set[str]
) -> list[tuple[ObjectType, set[str]]]:
    """Custom objects and the type ids that each is linked with, by its schema."""
    version = client.settings.api_version
    answer = client.get(
        f"/crm-object-schemas/{version}/schemas",
        {"archived": "false", "includeAssociationDefinitions": "true"},
        "definitions",
    )
    wanted = client.settings.custom_objects
    found: list[tuple[ObjectType, set[str]]] = []
    names: set[str] = set()
    for schema in sorted(answer.get("results") or [], key=lambda s: str(s.get("name"))):
        name = str(schema.get("name"))
        names.add(name)
        if wanted is not None and name not in wanted:
            continue
        if schema.get("archived"):
            continue
        type_id = str(schema.get("objectTypeId") or schema.get("id"))
        table = column_name(name.lower())
        if table in taken | _OWN_TABLES:
            table = column_name(str(schema.get("fullyQualifiedName") or type_id))
        labels = schema.get("labels") or {}
        linked = {
            str(end)
            for link in schema.get("associations") or []
            for end in (link.get("fromObjectTypeId"), link.get("toObjectTypeId"))
            if end is not None
        } - {type_id}
        each = ObjectType(
            name=table,
            type_id=type_id,
            path=type_id,
            label_singular=str(labels.get("singular") or name),
            label_plural=str(labels.get("plural") or name),
            is_custom=True,
            primary_display_property=schema.get("primaryDisplayProperty"),
        )
        taken = taken | {table}
        found.append((each, linked))
    if unknown := set(wanted or ()) - names:
        raise ConfigurationError(
            f"SOURCES__HUBSPOT__CUSTOM_OBJECTS names {', '.join(sorted(unknown))}; the "
            f"portal has {', '.join(sorted(names)) or 'no custom objects'}. "
            "Nothing was read or changed."
        )
    return found


_OWN_TABLES = {
    "associations",
    "object_types",
    "owners",
    "pipelines",
    "portal",
    "properties",
}


def _has_pipeline(properties: list[Json]) -> bool:
    return any(each.get("name") == "hs_pipeline" for each in properties)


def _all(client: HubSpot, path: str) -> list[Json]:
    results = client.get(path, None, "definitions").get("results")
    return results if isinstance(results, list) else []


def _owners(client: HubSpot) -> list[Json]:
    owners: list[Json] = []
    for archived in ("false", "true"):
        params = {"limit": _OWNERS_PAGE, "archived": archived}
        while True:
            path = f"/crm/owners/{client.settings.api_version}"
            page = client.get(path, params, "definitions")
            owners += page.get("results") or []
            after = ((page.get("paging") or {}).get("next") or {}).get("after")
            if after is None or str(after) == params.get("after"):
                break
            params["after"] = str(after)
    return owners


# -- rows of the definition tables -------------------------------------------------

TABLES: dict[str, dict[str, str]] = {
    "portal": {
        "portal_id": "text",
        "account_type": "text",
        "time_zone": "text",
        "company_currency": "text",
        "ui_domain": "text",
        "data_hosting_location": "text",
    },
    "object_types": {
        "object_type": "text",
        "object_type_id": "text",
        "label_singular": "text",
        "label_plural": "text",
        "is_custom": "boolean",
        "primary_display_property": "text",
        "modified_property": "text",
    },
    "properties": {
        "object_type": "text",
        "name": "text",
        "column_name": "text",
        "label": "text",
        "description": "text",
        "type": "text",
        "field_type": "text",
        "group_name": "text",
        "options": "text",
        "calculated": "boolean",
        "hubspot_defined": "boolean",
        "hidden": "boolean",
        "has_unique_value": "boolean",
        "referenced_object_type": "text",
        "currency_property_name": "text",
        "display_order": "bigint",
        "_state": "text",
    },
    "pipelines": {
        "object_type": "text",
        "pipeline_id": "text",
        "pipeline_label": "text",
        "pipeline_display_order": "bigint",
        "stage_id": "text",
        "stage_label": "text",
        "stage_display_order": "bigint",
        "is_closed": "text",
        "probability": "text",
        "ticket_state": "text",
        "metadata": "text",
        "_state": "text",
    },
    "owners": {
        "id": "text",
        "email": "text",
        "type": "text",
        "first_name": "text",
        "last_name": "text",
        "user_id": "text",
        "user_id_including_inactive": "text",
        "archived": "boolean",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "teams": "text",
    },
    "associations": {
        "from_type": "text",
        "from_id": "text",
        "to_type": "text",
        "to_id": "text",
        "type_id": "bigint",
        "category": "text",
        "label": "text",
    },
}

KEYS: dict[str, tuple[str, ...]] = {
    "portal": ("portal_id",),
    "object_types": ("object_type",),
    "properties": ("object_type", "name"),
    "pipelines": ("object_type", "pipeline_id", "stage_id"),
    "owners": ("id",),
    "associations": ("from_type", "from_id", "to_type", "to_id", "type_id"),
}


def definition_rows(
    definitions: Definitions, column_of: Callable[[str, str], str | None]
) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of each definition table, in the order of its columns."""
    portal = definitions.portal
    types = definitions.object_types.values()
    return {
        "portal": [
            (
                str(portal.get("portalId")),
                portal.get("accountType"),
                portal.get("timeZone"),
                portal.get("companyCurrency"),
                portal.get("uiDomain"),
                portal.get("dataHostingLocation"),
            )
        ],
        "object_types": [
            (
                each.name,
                each.type_id,
                each.label_singular,
                each.label_plural,
                each.is_custom,
                each.primary_display_property,
                each.modified_property,
            )
            for each in types
        ],
        "properties": [
            _property_row(name, prop, column_of)
            for name, properties in definitions.properties.items()
            for prop in _distinct(properties, "name")
        ],
        "pipelines": [
            _stage_row(name, pipeline, stage)
            for name, pipelines in definitions.pipelines.items()
            for pipeline in _distinct(pipelines, "id")
            for stage in _distinct(pipeline.get("stages") or [], "id")
        ],
        "owners": [_owner_row(owner) for owner in _distinct(definitions.owners, "id")],
    }


def _distinct(items: list[Json], key: str) -> list[Json]:
    return list({str(item.get(key)): item for item in reversed(items)}.values())[::-1]


def _property_row(
    object_type: str, prop: Json, column_of: Callable[[str, str], str | None]
) -> tuple[Any, ...]:
    name = str(prop["name"])
    return (
        object_type,
        name,
        column_of(object_type, name),
        prop.get("label"),
        prop.get("description"),
        prop.get("type"),
        prop.get("fieldType"),
        prop.get("groupName"),
        _json(prop.get("options") or []),
        _flag(prop.get("calculated")),
        _flag(prop.get("hubspotDefined")),
        _flag(prop.get("hidden")),
        _flag(prop.get("hasUniqueValue")),
        prop.get("referencedObjectType"),
        prop.get("currencyPropertyName"),
        prop.get("displayOrder"),
        "archived" if prop.get("archived") else "live",
    )


def _stage_row(object_type: str, pipeline: Json, stage: Json) -> tuple[Any, ...]:
    metadata = stage.get("metadata") or {}
    return (
        object_type,
        str(pipeline.get("id")),
        pipeline.get("label"),
        pipeline.get("displayOrder"),
        str(stage.get("id")),
        stage.get("label"),
        stage.get("displayOrder"),
        _word(metadata.get("isClosed")),
        _word(metadata.get("probability")),
        _word(metadata.get("ticketState")),
        _json(metadata),
        "archived" if stage.get("archived") or pipeline.get("archived") else "live",
    )


def _owner_row(owner: Json) -> tuple[Any, ...]:
    return (
        str(owner.get("id")),
        owner.get("email"),
        owner.get("type"),
        owner.get("firstName"),
        owner.get("lastName"),
        _word(owner.get("userId")),
        _word(owner.get("userIdIncludingInactive")),
        _flag(owner.get("archived")),
        parse_time(owner.get("createdAt")),
        parse_time(owner.get("updatedAt")),
        _json(owner.get("teams") or []),
    )


def _flag(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _word(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

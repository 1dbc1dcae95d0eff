"""The configuration against the real portal and the real database; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines import policy
from pipelines.errors import ConfigurationError, HubsyncError
from pipelines.hubspot.client import HubSpot, NotFound
from pipelines.hubspot.definitions import Definitions, read_definitions
from pipelines.proposal import Proposal, propose
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

_SCHEMAS = ("hubspot_raw", "staging", "intermediate", "app", "ops", "hubspot")
_OLDEST_POSTGRESQL = 15  # the first with MERGE


@dataclass(frozen=True)
class Answer:
    """One checked thing. `exit_code` is 0 where it is in order."""

    subject: str
    text: str
    exit_code: int = 0


def check(target: str | None) -> Iterator[Answer | Proposal]:
    """Every check in turn; a failed one does not keep the others from answering. Last,
    where the portal could be read, the policy rows that it suggests."""
    try:
        settings = Settings.load()
        yield Answer("token", f"present, for {settings.base_url}")
    except HubsyncError as error:
        yield _failed("token", error)
        settings = None
    definitions = None
    if settings is not None:
        client = HubSpot(settings)
        try:
            definitions = read_definitions(client)
        except HubsyncError as error:
            yield _failed("portal", error)
        else:
            yield from _portal(client, definitions)
    yield from _database(target)
    if definitions is not None:
        try:
            yield propose(client, definitions)
        except ConfigurationError as error:
            yield _failed("policy proposal", error)


def _failed(subject: str, error: HubsyncError) -> Answer:
    return Answer(subject, str(error), error.exit_code)


def _portal(client: HubSpot, definitions: Definitions) -> Iterator[Answer]:
    portal = definitions.portal
    yield Answer(
        "portal",
        f"{portal.get('portalId')} ({portal.get('accountType')}, "
        f"{portal.get('timeZone')})",
    )
    yield from _scopes(client, definitions)
    custom = [n for n, each in definitions.object_types.items() if each.is_custom]
    properties = sum(len(each) for each in definitions.properties.values())
    yield Answer(
        "object types",
        f"{len(definitions.object_types)} with {properties} properties"
        + (f"; custom: {', '.join(custom)}" if custom else ""),
    )
    for note in definitions.notes:
        yield Answer("object types", note)
    for name, pipelines in definitions.pipelines.items():
        stages = sum(len(pipeline.get("stages") or []) for pipeline in pipelines)
        yield Answer("pipelines", f"{name}: {len(pipelines)} with {stages} stages")
    try:
        gaps = policy.check(definitions)
    except ConfigurationError as error:
        yield _failed("policy", error)
        return
    yield Answer("policy", "every row marked error names something the portal has")
    for gap in gaps:
        yield Answer("policy", f"skipped (if_missing = ignore): {gap}")


def _scopes(client: HubSpot, definitions: Definitions) -> Iterator[Answer]:
    """Definitions need fewer scopes than records: read one record of each type."""
    readable = []
    for name, each in definitions.object_types.items():
        path = f"/crm/objects/{client.settings.api_version}/{each.path}"
        try:
            client.get(path, {"limit": "1"}, "list")
            readable.append(name)
        except NotFound:
            continue  # the portal has no such object; its definitions said so
        except HubsyncError as error:
            yield _failed("scopes", error)
    if readable:
        yield Answer("scopes", f"may read {', '.join(readable)}")


def _database(target: str | None) -> Iterator[Answer]:
    try:
        warehouse = Warehouse.from_environment(target)
        if warehouse.path is not None and not warehouse.path.exists():
            folder = warehouse.path.absolute().parent
            if not os.access(folder, os.W_OK):
                yield Answer("database", f"{folder} may not be written to", 2)
                return
            yield Answer("database", f"{warehouse.describe()}, made by the first sync")
            return
        with warehouse.connect() as connection:
            connection.execute("select 1")
        yield Answer("database", f"{warehouse.describe()}, reachable")
        yield from _roles(warehouse)
    except HubsyncError as error:
        yield _failed("database", error)


def _roles(warehouse: Warehouse) -> Iterator[Answer]:
    """Whether hubsync may do what it does, and whether somebody may read the result."""
    rights = warehouse.privileges()
    if rights is None:
        return
    if rights.server_version < _OLDEST_POSTGRESQL:
        yield Answer(
            "database",
            f"PostgreSQL {rights.server_version} is too old: hubsync needs "
            f"{_OLDEST_POSTGRESQL} or newer",
            2,
        )
    missing = [each for each in _SCHEMAS if each not in rights.schemas]
    closed = [each for each in _SCHEMAS if rights.schemas.get(each) is False]
    if missing and not rights.may_create_schemas:
        yield Answer(
            "roles",
            f"{rights.user} may not create the schemas {', '.join(missing)}; "
            "deploy/roles.sql makes a user that may",
            2,
        )
    elif closed:
        yield Answer(
            "roles",
            f"{rights.user} may not write to {', '.join(closed)}, which "
            "belongs to somebody else; deploy/roles.sql says what to grant",
            2,
        )
    else:
        more = (
            ", and everything else as a superuser: deploy/roles.sql makes a user that "
            "may do no more than it needs"
            if rights.is_superuser
            else ""
        )
        yield Answer("roles", f"{rights.user} may do what a sync does{more}")
    yield Answer(
        "roles",
        f"app may be read by {', '.join(rights.readers)}"
        if rights.readers
        else "app may be read by nobody else yet; deploy/roles.sql makes a reader",
    )

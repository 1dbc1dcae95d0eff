"""The configuration against the real portal and the real database; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines import policy
from pipelines.errors import ConfigurationError, HubsyncError
from pipelines.hubspot.client import HubSpot, NotFound
from pipelines.hubspot.definitions import Definitions, read_definitions
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse


@dataclass(frozen=True)
class Answer:
    """One checked thing. `exit_code` is 0 where it is in order."""

    subject: str
    text: str
    exit_code: int = 0


def check(target: str | None) -> Iterator[Answer]:
    """Every check in turn; a failed one does not keep the others from answering."""
    try:
        settings = Settings.load()
        yield Answer("token", f"present, for {settings.base_url}")
    except HubsyncError as error:
        yield _failed("token", error)
        settings = None
    if settings is not None:
        client = HubSpot(settings)
        try:
            definitions = read_definitions(client)
        except HubsyncError as error:
            yield _failed("portal", error)
        else:
            yield from _portal(client, definitions)
    yield _database(target)


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


def _database(target: str | None) -> Answer:
    try:
        warehouse = Warehouse.from_environment(target)
        if warehouse.path is not None and not warehouse.path.exists():
            return Answer("database", f"{warehouse.describe()}, made by the first sync")
        with warehouse.connect() as connection:
            connection.execute("select 1")
    except HubsyncError as error:
        return _failed("database", error)
    return Answer("database", f"{warehouse.describe()}, reachable")

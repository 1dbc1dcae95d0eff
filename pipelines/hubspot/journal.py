"""The webhooks journal: HubSpot's own log of what changed, read by polling (9.3).

It tells in order what search cannot: deletions, merges, privacy deletions, and links
that came or went. It is an accelerator and never the truth: values come from the
reads that exist anyway, and without it the slow checks find all the same.

It needs a project app (client id and secret) that is installed in the portal with
the scopes of the objects; a service key may not read it. Nothing of it counts
against HubSpot's limits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipelines.errors import ConfigurationError, HubsyncError, PortalUnavailable
from pipelines.hubspot.client import BadRequest, HubSpot, MissingScope, NotFound
from pipelines.hubspot.objects import ObjectType, association_pairs
from pipelines.settings import Settings

Json = dict[str, Any]
Ids = dict[str, set[str]]  # by object type, as in hubspot_raw

_SCOPES = (
    "developer.webhooks_journal.read",
    "developer.webhooks_journal.subscriptions.read",
    "developer.webhooks_journal.subscriptions.write",
)
_OBJECT_ACTIONS = ("CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE")
_LINK_ACTIONS = ("ASSOCIATION_ADDED", "ASSOCIATION_REMOVED")
_KEPT = timedelta(days=3)
_CONTACT = "0-1"  # the one type that HubSpot erases for privacy's sake (11)
_MOST_ENTRIES = 5_000  # per read; what is left is read by the next sync
_SPARE_SECONDS = 60.0  # before a token ends, it is not used any more
# Instead of an offset while the journal is empty: the moment it was seen so.
_EMPTY = "empty:"


class JournalUnavailable(HubsyncError):
    """The journal could not be read; a note for the reader, no reason to fail."""


@dataclass(frozen=True)
class JournalRead:
    """What the journal tells since an offset: the last word on every record.

    changed: created, updated, or the survivor of a merge. deleted: archived now.
    restored: out of the recycle bin. merged: loser -> last survivor. erased: for
    privacy. relinked: live records with links that came or went. A record that is
    merged or erased is nowhere else, a deleted one neither changed nor relinked.
    offset: to be stored once all this is committed, and given to the next read.
    lost_window: something may have been missed before this read; check everything.
    uncovered: types that HubSpot did not let us subscribe to in full.
    """

    changed: Ids = field(default_factory=dict)
    deleted: Ids = field(default_factory=dict)
    restored: Ids = field(default_factory=dict)
    merged: dict[str, dict[str, str]] = field(default_factory=dict)
    erased: Ids = field(default_factory=dict)
    relinked: Ids = field(default_factory=dict)
    offset: str | None = None
    lost_window: bool = False
    uncovered: frozenset[str] = frozenset()


def read_journal(
    client: HubSpot,
    settings: Settings,
    types: Mapping[str, ObjectType],
    offset: str | None,
    *,
    portal_id: str | None = None,
    pairs: Iterable[tuple[str, str]] | None = None,
) -> JournalRead:
    """Everything new since `offset`; None is the first use and tells nothing yet.

    To be called before the records are read, so that what happens meanwhile is told
    the next time. `portal_id` and the `pairs` of types whose links are loaded are
    asked of HubSpot and guessed when not given. Reading the same offset twice gives
    the same again. Raises JournalUnavailable, and nothing else of HubSpot's making.
    """
    try:
        if portal_id is None:
            path = f"/account-info/{settings.api_version}/details"
            portal_id = str(client.get(path, None, "definitions")["portalId"])
        app = _App(client, settings, portal_id)
        linked = association_pairs(dict(types), {}) if pairs is None else list(pairs)
        added, uncovered = app.subscribe(types, linked)
        told = _Told(portal_id, {each.type_id: name for name, each in types.items()})
        lost = offset is not None and added
        entry: tuple[str, list[Any]] | None
        for _ in range(_MOST_ENTRIES):
            try:
                if offset is None:
                    offset = app.latest()
                    break
                entry = app.after(offset)
            except (NotFound, BadRequest):  # expired, or not an offset at all
                offset, lost = app.latest(), True
                break
            if entry is None:
                if offset.startswith(_EMPTY):
                    offset = app.empty()
                break
            offset = entry[0]
            for event in entry[1]:
                told.take(event)
        return told.read(offset, lost, uncovered)
    except JournalUnavailable:
        raise
    except HubsyncError as error:
        raise JournalUnavailable(_note(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JournalUnavailable(
            f"HubSpot's journal gave an answer of an unknown form ({error!r:.100}); "
            "changes were found without it."
        ) from error


def _note(error: HubsyncError) -> str:
    if isinstance(error, MissingScope):
        reason = (
            "its app is not installed in this portal or lacks a scope (of the objects, "
            f"or {', '.join(_SCOPES)})"
        )
    elif isinstance(error, ConfigurationError):
        reason = "HubSpot does not accept the token of its app"
    elif isinstance(error, PortalUnavailable):
        reason = "HubSpot did not answer"
    else:
        reason = "HubSpot refused the request"
    return f"The journal could not be read: {reason}. Changes were found without it."


class _App:
    """Calls of the project app: its token, its subscriptions, the journal's entries."""

    def __init__(self, client: HubSpot, settings: Settings, portal_id: str) -> None:
        self.client = client
        self.settings = settings
        self.portal_id = portal_id
        self._token: str | None = None
        self._token_ends = 0.0  # monotonic seconds

    def empty(self) -> str:
        return f"{_EMPTY}{self.client.now().isoformat()}"

    def latest(self) -> str:
        """The offset behind which everything is new from now on."""
        entry = self._journal("latest")
        return str(entry["currentOffset"]) if entry else self.empty()

    def after(self, offset: str) -> tuple[str, list[Any]] | None:
        """The entry that follows: its offset and events. Raises NotFound, BadRequest.

        The URL of a file lasts for minutes; where it is refused, a new one is asked
        for, once.
        """
        path = f"offset/{offset}/next"
        if offset.startswith(_EMPTY):
            seen = datetime.fromisoformat(offset.removeprefix(_EMPTY))
            if self.client.now() - seen >= _KEPT:
                raise NotFound("Three days without a look at the journal.")
            path = "earliest"
        entry = self._journal(path)
        if not entry:
            return None
        try:
            events = self._file(entry)
        except PortalUnavailable:
            raise
        except HubsyncError:
            entry = self._journal(path)
            try:
                events = self._file(entry)
            except HubsyncError as error:
                # Of the file and not of the offset: this does not lose the window.
                raise PortalUnavailable("HubSpot refuses a journal file.") from error
        return str(entry["currentOffset"]), events

    def _file(self, entry: Json) -> list[Any]:
        url = str(entry["url"])
        if not url.startswith(("https://", self.settings.base_url + "/")):
            raise ValueError("the file's address is not https")
        events = self.client.call_as(None, "GET", url)["journalEvents"]
        if not isinstance(events, list):
            raise TypeError("journalEvents is no list")
        return events

    def subscribe(
        self, types: Mapping[str, ObjectType], pairs: Iterable[tuple[str, str]]
    ) -> tuple[bool, frozenset[str]]:
        """Make sure that every type is told of; what others subscribed to stays.

        Gives whether one had to be added, and the types that HubSpot refused.
        """
        linked: dict[str, set[str]] = {}
        for source, target in pairs:
            if source in types and target in types:
                linked.setdefault(source, set()).add(types[target].type_id)
        path = f"/webhooks-journal/subscriptions/{self.settings.api_version}"
        present: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
        for one in self._call("GET", path).get("results") or []:
            if str(one.get("portalId")) != self.portal_id or one.get("deletedAt"):
                continue
            actions, others = present.setdefault(
                (str(one["subscriptionType"]), str(one.get("objectTypeId"))),
                (set(), set()),
            )
            actions.update(one.get("actions") or ())
            others.update(one.get("associatedObjectTypeIds") or ())
        added, uncovered = False, set()
        for name, each in types.items():
            wanted: list[tuple[str, tuple[str, ...], set[str]]] = [
                ("OBJECT", _OBJECT_ACTIONS, set())
            ]
            if name in linked:
                wanted.append(("ASSOCIATION", _LINK_ACTIONS, linked[name]))
            if each.type_id == _CONTACT:
                wanted.append(("GDPR_PRIVACY_DELETION", ("GDPR_DELETE",), set()))
            for kind, needed, others in wanted:
                had, had_others = present.get((kind, each.type_id), (set(), set()))
                if had >= set(needed) and had_others >= others:
                    continue
                body: Json = {
                    "subscriptionType": kind,
                    "portalId": int(self.portal_id),
                    "objectTypeId": each.type_id,
                    "actions": sorted(had.union(needed)),
                }
                if kind == "OBJECT":
                    body.update(objectIds=[], properties=[])
                if kind == "ASSOCIATION":
                    body.update(
                        objectIds=[],
                        associatedObjectTypeIds=sorted(had_others | others),
                    )
                try:
                    self._call("POST", path, body=body)
                    added = True
                except (BadRequest, MissingScope):
                    uncovered.add(name)
        return added, frozenset(uncovered)

    def _journal(self, path: str) -> Json:
        return self._call(
            "GET",
            f"/webhooks-journal/journal/{self.settings.api_version}/{path}",
            params={"installPortalId": self.portal_id},
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Json:
        """One call with a token in force; a revoked one is replaced, once."""
        try:
            return self.client.call_as(
                self._access(), method, path, params=params, body=body
            )
        except MissingScope:
            raise
        except ConfigurationError:
            self._token = None
            return self.client.call_as(
                self._access(), method, path, params=params, body=body
            )

    def _access(self) -> str:
        """The app's token, fetched when there is none or it is about to end.

        Raises JournalUnavailable when HubSpot does not know the app.
        """
        now = time.monotonic()
        if self._token is None or now >= self._token_ends:
            try:
                granted = self.client.call_as(
                    None,
                    "POST",
                    f"/oauth/{self.settings.api_version}/token",
                    form={
                        "grant_type": "client_credentials",
                        "client_id": self.settings.journal_client_id or "",
                        "client_secret": self.settings.journal_client_secret or "",
                        "scope": " ".join(_SCOPES),
                    },
                )
            except (BadRequest, ConfigurationError, NotFound) as error:
                raise JournalUnavailable(
                    "The journal could not be read: HubSpot does not accept the app of "
                    "SOURCES__HUBSPOT__JOURNAL__CLIENT_ID and __CLIENT_SECRET. Changes "
                    "were found without it."
                ) from error
            self._token = str(granted["access_token"])
            self._token_ends = now + float(granted["expires_in"]) - _SPARE_SECONDS
        return self._token


class _Told:
    """Events in their order, and what they come to for every record."""

    def __init__(self, portal_id: str, names: Mapping[str, str]) -> None:
        self.portal_id = portal_id
        self.names = names  # object type id -> our name
        self._last: dict[str, dict[str, str]] = {}  # DELETE or RESTORE, the later
        self._changed: Ids = {}
        self._relinked: Ids = {}
        self._erased: Ids = {}
        self._into: dict[str, dict[str, str]] = {}

    def take(self, event: Any) -> None:
        """Add one event. What is not ours, or of a form we do not know, is left out.

        An app's journal is that of all its portals, and it grows new kinds of events.
        """
        if not isinstance(event, dict):
            return
        if str(event.get("portalId")) != self.portal_id:
            return
        action = event.get("action")
        if action in _LINK_ACTIONS:
            for end in ("from", "to"):
                name = self.names.get(str(event.get(f"{end}ObjectTypeId")))
                record = _id(event.get(f"{end}ObjectId"))
                if name is not None and record is not None:
                    self._relinked.setdefault(name, set()).add(record)
            return
        name = self.names.get(str(event.get("objectTypeId")))
        if name is None:
            return
        if action == "MERGE":
            self._merge(name, event)
            return
        record = _id(event.get("objectId"))
        if record is None:
            return
        if action in ("CREATE", "UPDATE"):
            self._changed.setdefault(name, set()).add(record)
        elif action in ("DELETE", "RESTORE"):
            self._last.setdefault(name, {})[record] = action
        elif action == "GDPR_DELETE":
            self._erased.setdefault(name, set()).add(record)

    def _merge(self, name: str, event: Json) -> None:
        """`objectId` survives, unless the event names a new record in its place."""
        primary = _id(event.get("objectId")) or _id(event.get("primaryObjectId"))
        survivor = _id(event.get("newObjectId")) or primary
        if survivor is None:
            return
        losers = {_id(each) for each in event.get("mergedObjectIds") or ()}
        for loser in (losers | {primary}) - {survivor, None}:
            assert loser is not None
            self._into.setdefault(name, {})[loser] = survivor
        # What the losers were linked to is now linked to the survivor.
        self._changed.setdefault(name, set()).add(survivor)
        self._relinked.setdefault(name, set()).add(survivor)

    def read(
        self, offset: str | None, lost: bool, uncovered: frozenset[str]
    ) -> JournalRead:
        merged = {
            name: {loser: _end(loser, into) for loser in into}
            for name, into in self._into.items()
        }
        # A deletion and an erasure come in no fixed order; a loser is not deleted.
        gone = {
            name: self._erased.get(name, set()) | merged.get(name, {}).keys()
            for name in self.names.values()
        }
        deleted, restored = (
            _without(
                {
                    name: {record for record, last in lasts.items() if last == action}
                    for name, lasts in self._last.items()
                },
                gone,
            )
            for action in ("DELETE", "RESTORE")
        )
        return JournalRead(
            _without(self._changed, gone, deleted),
            deleted,
            restored,
            {name: into for name, into in merged.items() if into},
            {name: set(ids) for name, ids in self._erased.items()},
            _without(self._relinked, gone, deleted),
            offset,
            lost,
            uncovered,
        )


def _without(ids: Ids, *others: Ids) -> Ids:
    """`ids` less those in any of `others`; types that are left empty are left out."""
    kept = {
        name: each.difference(*(other.get(name, set()) for other in others))
        for name, each in ids.items()
    }
    return {name: each for name, each in kept.items() if each}


def _end(loser: str, into: Mapping[str, str]) -> str:
    """The record at the end of a chain of merges."""
    seen = {loser}
    while (survivor := into.get(loser)) is not None and survivor not in seen:
        seen.add(survivor)
        loser = survivor
    return loser


def _id(value: Any) -> str | None:
    text = str(value)
    return text if text.isdigit() else None

"""The webhooks journal: what an app subscribed to, in order, for three days (9.3).

Events are written down only while a subscription asks for them. They leave in
entries, files of a bounded number of events, each behind a URL that is its own
permission. An app reads with tokens of its own, never with those of a service key.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sandbox.access import Token
from sandbox.clock import DAY_MS, Clock, iso

Json = dict[str, Any]

KEPT_MS = 3 * DAY_MS
URL_SECONDS = 600
SCOPES = tuple(
    f"developer.webhooks_journal.{each}"
    for each in (
        "read",
        "subscriptions.read",
        "subscriptions.write",
        "snapshots.read",
        "snapshots.write",
    )
)
ACTIONS = {
    "OBJECT": ("CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE"),
    "ASSOCIATION": ("ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"),
    "GDPR_PRIVACY_DELETION": ("GDPR_DELETE",),
}


@dataclass
class Entry:
    """One file of the journal; `published` is epoch ms of its last event."""

    offset: str
    published: int
    events: list[Json] = field(default_factory=list)

    def file(self) -> Json:
        return {
            "offset": self.offset,
            "journalEvents": self.events,
            "publishedAt": iso(self.published),
        }


class Journal:
    """The journal of one app in one portal.

    page: most events per entry. token_seconds: life of the app's tokens.
    """

    def __init__(self, portal_id: int, seed: int, clock: Clock) -> None:
        self.page = 10_000
        self.token_seconds = 1800
        self.subscriptions: dict[int, Json] = {}
        self.tokens: set[str] = set()
        self._portal_id = portal_id
        self._clock = clock
        self._random = random.Random(seed)
        self._entries: list[Entry] = []
        self._open: Entry | None = None
        self._wanted: dict[tuple[str, str], list[Json]] = {}

    # What happened

    def object_event(
        self, action: str, type_id: str, record_id: int, **more: Any
    ) -> None:
        """`more`: propertyChanges of an UPDATE, mergedObjectIds of a MERGE."""
        changed = more.get("propertyChanges")
        for wanted in self._wanted.get((action, type_id), ()):
            ids, names = wanted.get("objectIds"), wanted.get("properties")
            if ids and record_id not in ids:
                continue
            if names and changed is not None and changed.keys().isdisjoint(names):
                continue
            about: Json = {"objectTypeId": type_id, "objectId": record_id}
            self._write("crmObject", action, {**about, **more})
            return

    def association_event(
        self,
        added: bool,
        source: tuple[str, int],
        target: tuple[str, int],
        category: str,
        type_id: int,
        primary: bool,
    ) -> None:
        """One association type of one direction; ends are (object type id, id)."""
        action = "ASSOCIATION_ADDED" if added else "ASSOCIATION_REMOVED"
        for wanted in self._wanted.get((action, source[0]), ()):
            others, ids = wanted.get("associatedObjectTypeIds"), wanted.get("objectIds")
            if (others and target[0] not in others) or (ids and source[1] not in ids):
                continue
            about = {
                "fromObjectTypeId": source[0],
                "fromObjectId": source[1],
                "toObjectTypeId": target[0],
                "toObjectId": target[1],
                "associationTypeId": type_id,
                "associationCategory": category,
                "isPrimary": primary,
            }
            self._write("association", action, about)
            return

    def privacy_deletion(self, type_id: str, record_id: int) -> None:
        """GDPR_DELETE and DELETE, in no fixed order."""
        actions = ["GDPR_DELETE", "DELETE"]
        self._random.shuffle(actions)
        for action in actions:
            self.object_event(action, type_id, record_id)

    def _write(self, kind: str, action: str, about: Json) -> None:
        now = self._clock.now_ms()
        if self._open is None:
            number = self._random.getrandbits(128)
            self._open = Entry(str(uuid.UUID(int=number, version=4)), now)
        self._open.published = now
        self._open.events.append(
            {
                "type": kind,
                "portalId": self._portal_id,
                "occurredAt": iso(now),
                "action": action,
                **about,
            }
        )
        if len(self._open.events) >= self.page:
            self._publish()

    def _publish(self) -> None:
        if self._open is not None:
            self._entries.append(self._open)
            self._open = None

    # Reading

    def entries(self) -> list[Entry]:
        """Everything that happened up to now, less what is older than three days."""
        self._publish()
        since = self._clock.now_ms() - KEPT_MS
        self._entries = [one for one in self._entries if one.published > since]
        return self._entries

    def after(self, offset: str) -> list[Entry]:
        """Entries after this one. Raises KeyError for one that is not kept."""
        entries = self.entries()
        for position, entry in enumerate(entries):
            if entry.offset == offset:
                return entries[position + 1 :]
        raise KeyError(offset)

    def entry(self, offset: str) -> Entry:
        """Raises KeyError."""
        for entry in self.entries():
            if entry.offset == offset:
                return entry
        raise KeyError(offset)

    def sign(self, offset: str, expires: int, secret: str) -> str:
        """The permission in a file's URL; `expires` in epoch ms."""
        text = f"{offset} {expires}".encode()
        return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()

    # Subscriptions, tokens

    def subscribe(self, given: Json) -> Json:
        """Create a subscription, or change the one of the same type and object."""
        key = (given["subscriptionType"], given["objectTypeId"])
        now = iso(self._clock.now_ms())
        number, created = max(self.subscriptions, default=0) + 1, now
        for one in self.subscriptions.values():
            if (one["subscriptionType"], one["objectTypeId"]) == key:
                number, created = one["id"], one["createdAt"]
        full = {
            "id": number,
            "appId": 4711,
            **given,
            "createdAt": created,
            "updatedAt": now,
            "deletedAt": None,
        }
        self.subscriptions[number] = full
        self._remember()
        return full

    def unsubscribe(self, numbers: Iterable[int]) -> None:
        for number in list(numbers):
            self.subscriptions.pop(number, None)
        self._remember()

    def _remember(self) -> None:
        self._wanted = {}
        for one in self.subscriptions.values():
            for action in one["actions"]:
                self._wanted.setdefault((action, one["objectTypeId"]), []).append(one)

    def grant(self, scopes: frozenset[str]) -> Token:
        """A new token of the app, for `token_seconds`."""
        name = f"journal-{self._random.getrandbits(128):032x}"
        self.tokens.add(name)
        ends = self._clock.now() + timedelta(seconds=self.token_seconds)
        return Token(name, scopes, ends)

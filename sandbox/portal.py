"""A HubSpot portal in memory: the truth that the HTTP server shows.

Everything HubSpot's people and workflows could do to a portal is a method here; values
are stored exactly as given (HTTP writes, in `records_api`, follow HubSpot's rules of
validation and clearing). Every public method may be called while a server is running.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox import pipelines, properties
from sandbox.access import Token
from sandbox.associations import Associations, TypeKey
from sandbox.clock import DAY_MS, Clock, iso, milliseconds
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.limits import Limits
from sandbox.objects import STANDARD, ObjectType
from sandbox.search import Search
from sandbox.store import Record, Table

Json = dict[str, Any]
Values = dict[str, Any]

FIRST_ID = 10_000_000_001
RECYCLE_BIN_MS = 90 * DAY_MS
HISTORY_KEPT = {"contacts": 45}  # old values per property; 20 for other types


class Portal:
    """One portal. Ids are text outside and integers inside.

    index_lag: seconds until a change reaches search (records until then match and
        show their old values; new ones are absent).
    merge_creates_new_id: what a merge over HTTP does; `merge` has its own argument.
    merged_ids_readable: whether batch read follows merged-away ids.
    associations_bump: whether a change of associations touches the modified date (and
        keeps `associatedcompanyid` in step).
    restore_bumps: whether a restore touches the modified date.
    association_page, inline_page: partners per page in association reads.
    before_request: called with (method, path) before each request is answered; the
        place to change a record between two pages.
    app: (client id, client secret) of the one app that may read the journal.
    """

    def __init__(
        self,
        portal_id: int = 12345678,
        seed: int = 1,
        *,
        token: str = "sandbox-token",
        first_ids: dict[str, int] | None = None,
        time_zone: str = "US/Eastern",
        currency: str = "USD",
        account_type: str = "STANDARD",
        ui_domain: str = "app.hubspot.com",
    ) -> None:
        self.portal_id = portal_id
        self.seed = seed
        self.token = token
        self.tokens = {token: Token(token)}
        self.time_zone = time_zone
        self.currency = currency
        self.account_type = account_type
        self.ui_domain = ui_domain
        self.data_hosting_location = "na1"
        self.clock = Clock()
        self.app = ("sandbox-app", "sandbox-app-secret")
        self.journal = Journal(portal_id, seed, self.clock)
        self.faults = Faults()
        self.limits = Limits()
        self.index_lag: float = 0.0
        self.merge_creates_new_id = False
        self.merged_ids_readable = False
        self.associations_bump = False
        self.restore_bumps = False
        self.association_page = 500
        self.inline_page = 100
        self.latency_seconds: float = 0.0
        self.before_request: list[Callable[[str, str], None]] = []
        self.lock = threading.RLock()

        self.kinds: dict[str, ObjectType] = {}
        self.tables: dict[str, Table] = {}
        self.searches: dict[str, Search] = {}
        self.properties: dict[str, dict[str, Json]] = {}
        self.groups: dict[str, dict[str, Json]] = {}
        self.pipelines = pipelines.default_pipelines()
        self.schemas: dict[str, Json] = {}
        self.owners: list[Json] = []
        self.associations = Associations()
        self.associations.changed = self._association_changed
        self.blocked_emails: set[str] = set()
        self._first_ids = first_ids or {}
        self._names: dict[str, str] = {}
        self._random = random.Random(seed)
        for kind in STANDARD.values():
            self._add_kind(kind)
        for name in ("deals", "tickets"):
            self._refresh_stage_options(name)

    @classmethod
    def example(
        cls,
        companies: int = 200,
        seed: int = 1,
        *,
        now: datetime | None = None,
        token: str = "sandbox-token",
        contacts: int | None = None,
    ) -> Portal:
        """Believable data: per company about five contacts (or `contacts` in all) and
        two deals.

        The same arguments give the same portal; dates are relative to `now` (default
        today's midnight UTC), so that contracts in force stay in force.
        """
        from sandbox.example import build

        return build(companies, seed, now, token, contacts)

    # Types and definitions

    def kind(self, name: str) -> ObjectType:
        """The type by plural, singular, id or p{portal}_{name}. Raises KeyError."""
        return self.kinds[self._names[name.lower()]]

    def _add_kind(self, kind: ObjectType, *also: str) -> None:
        self.kinds[kind.name] = kind
        for name in (kind.name, kind.singular, kind.type_id, *also):
            self._names[name.lower()] = kind.name
        table = Table(self._first_ids.get(kind.name, FIRST_ID))
        self.tables[kind.name] = table
        self.searches[kind.name] = Search(kind, table, self)
        self.properties[kind.name] = properties.standard_properties(
            kind, "2020-01-01T00:00:00.000Z"
        )
        self.groups[kind.name] = {
            name: {"name": name, "label": name, "displayOrder": -1, "archived": False}
            for name in (f"{kind.singular.replace('_', '')}information", "custom")
        }

    def add_property(self, object_type: str, given: Json) -> Json:
        """Define (or restore and redefine) a property; only `name` is needed."""
        with self.lock:
            kind = self.kind(object_type)
            full = properties.definition(given, iso(self.clock.now_ms()))
            self.properties[kind.name][full["name"]] = full
            self.tables[kind.name].version += 1
            return full

    def update_property(self, object_type: str, name: str, changes: Json) -> Json:
        """Change a definition, its type included; stored values stay as they are."""
        with self.lock:
            kind = self.kind(object_type)
            now = iso(self.clock.now_ms())
            known = self.properties[kind.name][name]
            full = properties.definition({**known, **changes, "updatedAt": now}, now)
            self.properties[kind.name][name] = full
            self.tables[kind.name].version += 1
            return full

    def remove_property(
        self, object_type: str, name: str, *, forget: bool = False
    ) -> None:
        """Archive a definition: its values are no longer returned, yet kept.

        With `forget` it is gone for good, as after the recycle bin's 90 days.
        """
        with self.lock:
            kind = self.kind(object_type)
            if forget:
                del self.properties[kind.name][name]
            else:
                now = iso(self.clock.now_ms())
                self.properties[kind.name][name].update(archived=True, archivedAt=now)
            self.tables[kind.name].version += 1

    def live_properties(self, object_type: str) -> dict[str, Json]:
        known = self.properties[object_type]
        return {name: one for name, one in known.items() if not one["archived"]}

    def property_type(self, object_type: str, name: str) -> str | None:
        known = self.properties[object_type].get(name)
        return None if known is None or known["archived"] else str(known["type"])

    def update_pipeline(
        self, object_type: str, pipeline_id: str, changes: Json
    ) -> Json:
        """Create a pipeline or change parts of it; `stages` replaces all stages."""
        with self.lock:
            name = self.kind(object_type).name
            known = self.pipelines.setdefault(name, {})
            before = known.get(pipeline_id)
            now = iso(self.clock.now_ms())
            order = before["displayOrder"] if before else len(known)
            merged = {**(before or {}), "id": pipeline_id, **changes, "updatedAt": now}
            known[pipeline_id] = pipelines.pipeline(merged, order, now)
            self._refresh_stage_options(name)
            return known[pipeline_id]

    def remove_pipeline(self, object_type: str, pipeline_id: str) -> None:
        with self.lock:
            name = self.kind(object_type).name
            del self.pipelines[name][pipeline_id]
            self._refresh_stage_options(name)

    def _refresh_stage_options(self, name: str) -> None:
        names = {
            "deals": ("pipeline", "dealstage"),
            "tickets": ("hs_pipeline", "hs_pipeline_stage"),
        }.get(name)
        if names is None:
            return
        known = self.pipelines.get(name, {}).values()
        stages = [stage for pipeline in known for stage in pipeline["stages"]]
        for property_name, choices in zip(names, (known, stages), strict=True):
            self.properties[name][property_name]["options"] = [
                properties.option({"value": one["id"], "label": one["label"]}, order)
                for order, one in enumerate(choices)
            ]

    def add_owner(self, email: str, **given: Any) -> str:
        """A user or a QUEUE; returns the owner id, which is not the `userId`."""
        with self.lock:
            number = len(self.owners) + 1
            now = iso(self.clock.now_ms())
            owner = {
                "id": str(40_000_000 + number * 17),
                "email": email,
                "type": "PERSON",
                "firstName": "",
                "lastName": "",
                "userId": 9_000_000 + number,
                "userIdIncludingInactive": 9_000_000 + number,
                "createdAt": now,
                "updatedAt": now,
                "archived": False,
                **given,
            }
            self.owners.append(owner)
            return str(owner["id"])

    def archive_owner(self, owner_id: str) -> None:
        """Deactivate the user; records keep pointing at the owner."""
        with self.lock:
            for owner in self.owners:
                if owner["id"] == owner_id:
                    now = iso(self.clock.now_ms())
                    owner.update(archived=True, userId=None, updatedAt=now)

    def add_schema(
        self,
        name: str,
        *,
        singular: str | None = None,
        plural: str | None = None,
        properties: Iterable[Json] = (),
        associated: Iterable[str] = ("companies", "contacts", "deals"),
        display: str | None = None,
    ) -> str:
        """A custom object type; returns its id (`2-…`), associations USER_DEFINED."""
        with self.lock:
            number = f"2-{3_465_404 + len(self.schemas) * 1117}"
            label = singular or name.removesuffix("s").replace("_", " ").title()
            kind = ObjectType(
                number,
                name,
                label.lower().replace(" ", "_"),
                mergeable=True,
                scope="custom",
                custom=True,
            )
            qualified = f"p{self.portal_id}_{name}"
            self._add_kind(kind, qualified)
            given = list(properties)
            for one in given:
                self.add_property(name, {"groupName": f"{name}_information", **one})
            display = display or (given[0]["name"] if given else "hs_object_id")
            now = iso(self.clock.now_ms())
            links = []
            for other in associated:
                target = self.kind(other)
                key = self.associations.define(name, target.name, None)
                links.append(
                    {
                        "id": str(key[1]),
                        "fromObjectTypeId": number,
                        "toObjectTypeId": target.type_id,
                        "name": f"{kind.singular}_to_{target.singular}",
                    }
                )
            self.schemas[name] = {
                "id": number,
                "objectTypeId": number,
                "name": name,
                "fullyQualifiedName": qualified,
                "labels": {"singular": label, "plural": plural or f"{label}s"},
                "primaryDisplayProperty": display,
                "secondaryDisplayProperties": [],
                "requiredProperties": [],
                "searchableProperties": [display],
                "associations": links,
                "archived": False,
                "createdAt": now,
                "updatedAt": now,
            }
            return number

    def add_label(
        self,
        from_type: str,
        to_type: str,
        label: str,
        inverse: str | None = None,
        type_ids: tuple[int, int] | None = None,
    ) -> tuple[str, int]:
        """A USER_DEFINED label; returns (category, type id) of from -> to."""
        with self.lock:
            return self.associations.define(
                self.kind(from_type).name,
                self.kind(to_type).name,
                label,
                inverse,
                type_ids,
            )

    def add_token(
        self,
        name: str,
        scopes: Iterable[str] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        granted = None if scopes is None else frozenset(scopes)
        self.tokens[name] = Token(name, granted, expires_at)
        return name

    # Records

    def create(
        self,
        object_type: str,
        values: Values | None = None,
        *,
        id: str | int | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """A new record; returns its id. Raises ValueError for an unknown property."""
        with self.lock:
            kind = self.kind(object_type)
            table = self.tables[kind.name]
            now = self.clock.now_ms()
            created = now if created_at is None else milliseconds(created_at)
            number = int(id) if id is not None else self._take_id(table)
            if number in table.records:
                raise ValueError(f"{kind.singular} {number} exists")
            given = self._texts(kind, values or {})
            record = self._insert(kind, number, given, created, created)
            table.index(record, now, self.index_lag)
            self.journal.object_event("CREATE", kind.type_id, number)
            return str(number)

    def insert(
        self, object_type: str, values: Values, created: int, updated: int
    ) -> int:
        """A record with a past (epoch ms), already indexed; returns its id."""
        kind = self.kinds[object_type]
        table = self.tables[object_type]
        record = self._insert(kind, self._take_id(table), values, created, updated)
        record.indexed, record.indexed_updated = record.properties, updated
        table.version += 1
        return record.id

    def _take_id(self, table: Table) -> int:
        number = table.next_id
        table.next_id += self._random.randint(1, 7)  # real ids have gaps
        return number

    def _insert(
        self, kind: ObjectType, number: int, given: Values, created: int, updated: int
    ) -> Record:
        stamp = iso(created)
        known = {name: value for name, value in given.items() if value is not None}
        known["hs_object_id"] = str(number)
        known[kind.created] = stamp
        known[kind.modified] = stamp if updated == created else iso(updated)
        if kind.name in ("deals", "line_items"):
            known.update(self._calculated(kind, known))
        record = Record(number, known, created, updated)
        self.tables[kind.name].add(record)
        return record

    def update(self, object_type: str, record_id: str | int, values: Values) -> None:
        """Change properties now. None empties one, "" is stored as it is.

        Raises KeyError for a record that is not live, ValueError for a property that
        is not defined.
        """
        with self.lock:
            kind = self.kind(object_type)
            record = self._live(kind, record_id)
            self._change(kind, record, self._texts(kind, values))

    def _change(self, kind: ObjectType, record: Record, values: Values) -> None:
        now = self.clock.now_ms()
        changes: dict[str, str | None] = dict(values)
        if kind.name in ("deals", "line_items"):
            result = {**record.properties, **values}
            if not {"quantity", "price"}.isdisjoint(values) and "amount" not in values:
                result.pop("amount", None)
            changes.update(self._calculated(kind, result))
        changes[kind.modified] = iso(now)
        before = record.properties
        kept = HISTORY_KEPT.get(kind.name, 20)
        history = record.history = record.history or {}
        for name, value in changes.items():
            if before.get(name) != value and name != kind.modified:
                past = history.setdefault(name, [(before.get(name), record.created)])
                past.append((value, now))
                del past[: -kept - 1]
        after: dict[str, Any] = {**before, **changes}
        record.properties = {k: v for k, v in after.items() if v is not None}
        record.updated = now
        self.tables[kind.name].index(record, now, self.index_lag)
        told = {
            name: "" if value is None else value
            for name, value in changes.items()
            if before.get(name) != value and name != kind.modified
        }
        if told:  # the modified date alone is no event
            self.journal.object_event(
                "UPDATE", kind.type_id, record.id, propertyChanges=told
            )

    def touch(self, object_type: str, record_id: str | int) -> None:
        """Bump the modified date and nothing else."""
        self.update(object_type, record_id, {})

    def _calculated(self, kind: ObjectType, values: Values) -> Values:
        """What HubSpot computes from a deal's stage and a line item's price."""
        if kind.name == "line_items":
            if values.get("amount") is None:
                try:
                    amount = float(values["quantity"]) * float(values["price"])
                except (KeyError, TypeError, ValueError):
                    return {}
                return {"amount": f"{amount:.2f}"}
            return {}
        pipeline = self.pipelines["deals"].get(str(values.get("pipeline")))
        stages = pipeline["stages"] if pipeline else []
        wanted = values.get("dealstage")
        stage = next((one for one in stages if one["id"] == wanted), None)
        if stage is None:
            return {}
        closed = stage["metadata"].get("isClosed") == "true"
        probability = stage["metadata"].get("probability", "0")
        won, lost = closed and float(probability) == 1, float(probability) == 0
        return {
            "hs_is_closed": str(closed).lower(),
            "hs_is_closed_won": str(won).lower(),
            "hs_is_closed_lost": str(closed and lost).lower(),
            "hs_deal_stage_probability": probability,
        }

    def _texts(self, kind: ObjectType, values: Values) -> dict[str, str | None]:
        known = self.properties[kind.name]
        texts: dict[str, str | None] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(
                    f"{kind.name} has no property {name!r}; add_property first"
                )
            if value is None or isinstance(value, str):
                texts[name] = value
            elif isinstance(value, bool):
                texts[name] = str(value).lower()
            else:
                texts[name] = str(value)
        return texts

    def _live(self, kind: ObjectType, record_id: str | int) -> Record:
        record = self.tables[kind.name].records.get(int(record_id))
        if record is None or record.state != "live":
            raise KeyError(f"no live {kind.singular} {record_id}")
        return record

    def archive(self, object_type: str, record_id: str | int) -> None:
        """Into the recycle bin: gone from search at once, restorable for 90 days."""
        with self.lock:
            kind = self.kind(object_type)
            record = self._live(kind, record_id)
            self.tables[kind.name].to_archive(record, self.clock.now_ms())
            self.associations.version += 1
            self.journal.object_event("DELETE", kind.type_id, record.id)

    def restore(self, object_type: str, record_id: str | int) -> None:
        """Out of the recycle bin, with its associations. Raises KeyError."""
        with self.lock:
            self.settle()
            kind = self.kind(object_type)
            table = self.tables[kind.name]
            record = table.records.get(int(record_id))
            if record is None or record.state != "archived":
                raise KeyError(f"no archived {kind.singular} {record_id}")
            table.to_live(record)
            self.associations.version += 1
            self.journal.object_event("RESTORE", kind.type_id, record.id)
            if self.restore_bumps:
                self._change(kind, record, {})
            else:
                table.index(record, self.clock.now_ms(), self.index_lag)

    def merge(
        self,
        object_type: str,
        winner: str | int,
        loser: str | int,
        new_id: bool = False,
    ) -> str:
        """Merge two live records; returns the survivor's id.

        The winner's values win, the loser's fill gaps and its associations move. With
        `new_id` both old ids are merged away into a fresh one, as HubSpot does since
        2025.
        """
        with self.lock:
            kind = self.kind(object_type)
            table = self.tables[kind.name]
            first, second = self._live(kind, winner), self._live(kind, loser)
            if first is second:
                raise ValueError("a record cannot be merged with itself")
            own = {"hs_object_id", kind.created, kind.modified, "hs_merged_object_ids"}
            filled = {k: v for k, v in second.properties.items() if k not in own}
            filled.update({k: v for k, v in first.properties.items() if k not in own})
            away = [first, second] if new_id else [second]
            ids: dict[str, None] = {}
            for record in (first, second):
                past = record.properties.get("hs_merged_object_ids") or ""
                ids.update(dict.fromkeys(filter(None, past.split(";"))))
                if record in away:
                    ids[str(record.id)] = None
            filled["hs_merged_object_ids"] = ";".join(ids)
            now = self.clock.now_ms()
            if new_id:
                number, born = self._take_id(table), min(first.created, second.created)
                survivor = self._insert(kind, number, filled, born, now)
                table.index(survivor, now, self.index_lag)
            else:
                survivor = first
            for record in away:
                self.associations.move(kind.name, record.id, survivor.id)
                table.to_merged(record, survivor.id)
            self.journal.object_event(
                "MERGE",
                kind.type_id,
                survivor.id,
                mergedObjectIds=[record.id for record in away],
            )
            if not new_id:
                self._change(kind, survivor, filled)
            return str(survivor.id)

    def privacy_delete(self, object_type: str, record_id: str | int) -> None:
        """GDPR: gone everywhere at once and for good; the e-mail is blocked."""
        with self.lock:
            kind = self.kind(object_type)
            table = self.tables[kind.name]
            record = table.records.get(int(record_id))
            if record is None or record.state == "merged":
                raise KeyError(f"no {kind.singular} {record_id}")
            if email := record.properties.get("email"):
                self.blocked_emails.add(email.lower())
            self._erase(kind, record)
            self.journal.privacy_deletion(kind.type_id, record.id)

    def purge(self, object_type: str, record_id: str | int) -> None:
        """Gone for good, as after 90 days in the recycle bin."""
        with self.lock:
            kind = self.kind(object_type)
            self._erase(kind, self.tables[kind.name].records[int(record_id)])

    def _erase(self, kind: ObjectType, record: Record) -> None:
        self.associations.forget(kind.name, record.id)
        self.tables[kind.name].forget(record)

    def settle(self) -> None:
        """Let time pass: the index catches up, the recycle bin empties."""
        with self.lock:
            now = self.clock.now_ms()
            for name, table in self.tables.items():
                table.settle(now, self.index_lag)
                for record in table.archived_before(now - RECYCLE_BIN_MS):
                    self._erase(self.kinds[name], record)

    # Associations

    def associate(
        self,
        from_type: str,
        from_id: str | int,
        to_type: str,
        to_id: str | int,
        types: Iterable[tuple[str, int]] | None = None,
    ) -> None:
        """Add association types (default: unlabeled) to those the pair has.

        Raises KeyError for a record that is not live or a type the pair lacks.
        """
        with self.lock:
            source, target = self.kind(from_type), self.kind(to_type)
            first, second = self._live(source, from_id), self._live(target, to_id)
            self.associations.add(
                source.name, first.id, target.name, second.id, types or ()
            )
            self._associations_changed(source, first, target, second)

    def dissociate(
        self,
        from_type: str,
        from_id: str | int,
        to_type: str,
        to_id: str | int,
        types: Iterable[tuple[str, int]] | None = None,
    ) -> None:
        """Remove types; None, or the unlabeled type, removes the association."""
        with self.lock:
            source, target = self.kind(from_type), self.kind(to_type)
            first, second = self._live(source, from_id), self._live(target, to_id)
            self.associations.remove(
                source.name, first.id, target.name, second.id, types
            )
            self._associations_changed(source, first, target, second)

    def _associations_changed(
        self, source: ObjectType, first: Record, target: ObjectType, second: Record
    ) -> None:
        if not self.associations_bump:
            return
        for kind, record in ((source, first), (target, second)):
            changes: Values = {}
            if kind.name == "contacts":
                changes["associatedcompanyid"] = next(
                    (
                        str(company)
                        for company, types in self.partners(
                            "contacts", record.id, "companies"
                        ).items()
                        if ("HUBSPOT_DEFINED", 1) in types
                    ),
                    None,
                )
            self._change(kind, record, changes)

    def _association_changed(
        self, pair: tuple[str, str], from_id: int, to_id: int, key: TypeKey, added: bool
    ) -> None:
        """One type of one direction came or went: news while both ends are live."""
        if not self.journal.subscriptions:
            return
        ends = list(zip(pair, (from_id, to_id), strict=True))
        for name, number in ends:
            record = self.tables[name].records.get(number)
            if record is None or record.state != "live":
                return
        source, target = ((self.kinds[name].type_id, number) for name, number in ends)
        primary = self.associations.labels[pair][key].label == "Primary"
        self.journal.association_event(added, source, target, *key, primary)

    def partners(
        self, source: str, record_id: int, target: str
    ) -> dict[int, tuple[TypeKey, ...]]:
        """Live partners of a live record, by id ascending, with the edge's types."""
        record = self.tables[source].records.get(record_id)
        if record is None or record.state != "live":
            return {}
        linked = self.associations.of(source, target, record_id)
        others = self.tables[target].records
        return {
            other: linked[other]
            for other in sorted(linked)
            if others[other].state == "live"
        }

    def associated(self, object_type: str, other: str, record_id: str) -> set[int]:
        """Ids of `object_type` records associated with a record of type `other`."""
        if not record_id.isdigit() or other.lower() not in self._names:
            return set()
        return set(self.partners(self.kind(other).name, int(record_id), object_type))

    def association_version(self) -> int:
        return self.associations.version

    # Truth, for comparisons

    def record(self, object_type: str, record_id: str | int) -> Json | None:
        """Everything about one record, or None when it is nowhere.

        `{"id", "state" live|archived|merged, "mergedInto", "createdAt", "updatedAt",
        "archivedAt", "properties": {every live property: text or None}}`.
        """
        with self.lock:
            self.settle()
            kind = self.kind(object_type)
            record = self.tables[kind.name].records.get(int(record_id))
            if record is None:
                return None
            return {
                "id": str(record.id),
                "state": record.state,
                "mergedInto": record.merged_into and str(record.merged_into),
                "createdAt": iso(record.created),
                "updatedAt": iso(record.updated),
                "archivedAt": record.archived_at and iso(record.archived_at),
                "properties": {
                    name: record.properties.get(name)
                    for name in self.live_properties(kind.name)
                },
            }

    def live_ids(self, object_type: str) -> list[str]:
        """Ids of live records, ascending as numbers."""
        with self.lock:
            table = self.tables[self.kind(object_type).name]
            return [str(record.id) for record in table.live]

    def archived_ids(self, object_type: str) -> list[str]:
        with self.lock:
            self.settle()
            table = self.tables[self.kind(object_type).name]
            return [str(record.id) for record in table.archived]

    def edges(self) -> set[tuple[str, str, str, str, int]]:
        """(from type, from id, to type, to id, type id) between live records."""
        with self.lock:
            self.settle()
            return {
                (source, str(from_id), target, str(to_id), type_id)
                for (source, target), by_from in self.associations.links.items()
                for from_id in by_from
                for to_id, types in self.partners(source, from_id, target).items()
                for _, type_id in types
            }

    def today(self) -> str:
        """Today's date in the portal's time zone, where the daily limit resets."""
        return str(self.clock.now().astimezone(ZoneInfo(self.time_zone)).date())

    def stage(self, object_type: str, stage_id: str) -> Json | None:
        for pipeline in self.pipelines.get(object_type, {}).values():
            for stage in pipeline["stages"]:
                if stage["id"] == stage_id:
                    return dict(stage)
        return None

"""Typed edges between records, mirrored in both directions (hubspot_api.md 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Pair = tuple[str, str]  # (from type, to type), plural names
TypeKey = tuple[str, int]  # (category, type id), of the from -> to direction

HUBSPOT = "HUBSPOT_DEFINED"
USER = "USER_DEFINED"

# (from, to, id there, id back, label there, label back); the first of a pair is the
# unlabeled type. `1` after the labels: a record has at most one such partner.
STANDARD: tuple[tuple[str, str, int, int, str | None, str | None, int], ...] = (
    ("contacts", "companies", 279, 280, None, None, 0),
    ("contacts", "companies", 1, 2, "Primary", "Primary", 1),
    ("contacts", "companies", 931, 930, "Billing contact", "Billing contact", 0),
    ("companies", "companies", 450, 450, None, None, 0),
    ("companies", "companies", 14, 13, "Parent Company", "Child Company", 1),
    ("contacts", "contacts", 449, 449, None, None, 0),
    ("deals", "companies", 341, 342, None, None, 0),
    ("deals", "companies", 5, 6, "Primary", "Primary", 1),
    ("deals", "contacts", 3, 4, None, None, 0),
    ("deals", "deals", 451, 451, None, None, 0),
    ("deals", "line_items", 19, 20, None, None, 0),
    ("deals", "quotes", 63, 64, None, None, 0),
    ("deals", "invoices", 176, 175, None, None, 0),
    ("deals", "orders", 511, 512, None, None, 0),
    ("deals", "subscriptions", 300, 299, None, None, 0),
    ("subscriptions", "contacts", 295, 296, None, None, 0),
    ("subscriptions", "companies", 297, 298, None, None, 0),
    ("subscriptions", "line_items", 301, 302, None, None, 0),
    ("subscriptions", "quotes", 303, 304, None, None, 0),
    ("subscriptions", "invoices", 623, 622, None, None, 0),
    ("subscriptions", "orders", 515, 516, None, None, 0),
    ("subscriptions", "tickets", 1121, 1122, None, None, 0),
    ("tickets", "contacts", 16, 15, None, None, 0),
    ("tickets", "companies", 339, 340, None, None, 0),
    ("tickets", "companies", 26, 25, "Primary", "Primary", 1),
    ("tickets", "deals", 28, 27, None, None, 0),
)


@dataclass(frozen=True)
class Label:
    """One association type in one direction, and its mirror in the other."""

    category: str
    type_id: int
    label: str | None
    mirror: TypeKey
    single: bool = False

    @property
    def key(self) -> TypeKey:
        return (self.category, self.type_id)


class Associations:
    """Edges: pair -> from id -> to id -> types, both directions always in step."""

    def __init__(self) -> None:
        self.labels: dict[Pair, dict[TypeKey, Label]] = {}
        self.links: dict[Pair, dict[int, dict[int, tuple[TypeKey, ...]]]] = {}
        self.version = 0
        # Told of every type that an edge gains (True) or loses, in each direction.
        self.changed: Callable[[Pair, int, int, TypeKey, bool], None] | None = None
        self._next_custom = 100
        for source, target, there, back, label, label_back, single in STANDARD:
            self._define(
                source,
                target,
                (HUBSPOT, there),
                (HUBSPOT, back),
                label,
                label_back,
                single=bool(single),
            )

    def define(
        self,
        source: str,
        target: str,
        label: str | None,
        inverse: str | None = None,
        type_ids: tuple[int, int] | None = None,
    ) -> TypeKey:
        """A USER_DEFINED type; paired labels differ per direction. Returns its key."""
        there, back = type_ids or (self._next_custom, self._next_custom + 1)
        self._next_custom = max(self._next_custom, there + 1, back + 1)
        key = (USER, there)
        self._define(source, target, key, (USER, back), label, inverse or label)
        return key

    def _define(
        self,
        source: str,
        target: str,
        there: TypeKey,
        back: TypeKey,
        label: str | None,
        label_back: str | None,
        single: bool = False,
    ) -> None:
        forward = self.labels.setdefault((source, target), {})
        backward = self.labels.setdefault((target, source), {})
        backward[back] = Label(*back, label_back, there)
        forward[there] = Label(*there, label, back, single)

    def unlabeled(self, source: str, target: str) -> TypeKey | None:
        """The type every edge of the pair carries; None when the pair has none."""
        for label in self.labels.get((source, target), {}).values():
            if label.label is None:
                return label.key
        return None

    def of(
        self, source: str, target: str, record: int
    ) -> dict[int, tuple[TypeKey, ...]]:
        return self.links.get((source, target), {}).get(record, {})

    def add(
        self,
        source: str,
        from_id: int,
        target: str,
        to_id: int,
        types: Iterable[TypeKey],
        replace: bool = False,
    ) -> None:
        """Add types to an edge (or replace them); every type implies the unlabeled one.

        A `single` type (primary, parent) leaves the partner that had it before.
        Raises KeyError for a type the pair does not have.
        """
        known = self.labels[source, target]
        plain = self.unlabeled(source, target)
        before = () if replace else self.of(source, target, from_id).get(to_id, ())
        wanted = dict.fromkeys(before)
        if plain is not None:
            wanted[plain] = None
        for key in types:
            label = known[key]
            self._leave_others(source, from_id, target, to_id, label)
            mirrored = self.labels[target, source][label.mirror]
            self._leave_others(target, to_id, source, from_id, mirrored)
            wanted[key] = None
        self._put(source, from_id, target, to_id, tuple(sorted(wanted)))

    def _leave_others(
        self, source: str, from_id: int, target: str, to_id: int, label: Label
    ) -> None:
        if not label.single:
            return
        for other, types in list(self.of(source, target, from_id).items()):
            if other != to_id and label.key in types:
                rest = tuple(key for key in types if key != label.key)
                self._put(source, from_id, target, other, rest)

    def remove(
        self,
        source: str,
        from_id: int,
        target: str,
        to_id: int,
        types: Iterable[TypeKey] | None = None,
    ) -> None:
        """Remove types of an edge; None, or the unlabeled type, removes all of it."""
        present = self.of(source, target, from_id).get(to_id, ())
        gone = set(present if types is None else types)
        if self.unlabeled(source, target) in gone:
            gone = set(present)
        rest = tuple(key for key in present if key not in gone)
        self._put(source, from_id, target, to_id, rest)

    def _put(
        self,
        source: str,
        from_id: int,
        target: str,
        to_id: int,
        types: tuple[TypeKey, ...],
    ) -> None:
        labels = self.labels[source, target]
        mirrored = tuple(sorted(labels[key].mirror for key in types))
        if source == target and from_id == to_id:
            raise ValueError("a record cannot be associated with itself")
        self._set((source, target), from_id, to_id, types)
        self._set((target, source), to_id, from_id, mirrored)
        self.version += 1

    def _set(
        self, pair: Pair, from_id: int, to_id: int, types: tuple[TypeKey, ...]
    ) -> None:
        by_from = self.links.setdefault(pair, {})
        before = by_from.get(from_id, {}).get(to_id, ())
        if types:
            by_from.setdefault(from_id, {})[to_id] = types
        elif from_id in by_from:
            by_from[from_id].pop(to_id, None)
            if not by_from[from_id]:
                del by_from[from_id]
        if self.changed is not None and before != types:
            for key in before:
                if key not in types:
                    self.changed(pair, from_id, to_id, key, False)
            for key in types:
                if key not in before:
                    self.changed(pair, from_id, to_id, key, True)

    def move(self, name: str, loser: int, survivor: int) -> None:
        """Give the edges of a merged-away record to its survivor."""
        for pair, from_id, to_id, types in list(self.touching(name, loser)):
            self.remove(*_ends(pair, from_id, to_id))
            if pair == (name, name) and survivor in (from_id, to_id):
                continue
            single = {
                key
                for key in types
                if self.labels[pair][key].single
                and any(key in others for others in self.of(*pair, survivor).values())
            }
            kept = [key for key in types if key not in single]
            self.add(pair[0], survivor, pair[1], to_id, kept)

    def touching(
        self, name: str, record: int
    ) -> Iterator[tuple[Pair, int, int, tuple[TypeKey, ...]]]:
        """Edges that start at the record."""
        for pair, by_from in self.links.items():
            if pair[0] == name:
                for to_id, types in by_from.get(record, {}).items():
                    yield pair, record, to_id, types

    def forget(self, name: str, record: int) -> None:
        for pair, from_id, to_id, _ in list(self.touching(name, record)):
            self.remove(*_ends(pair, from_id, to_id))


def _ends(pair: Pair, from_id: int, to_id: int) -> tuple[str, int, str, int]:
    return pair[0], from_id, pair[1], to_id

"""Policy rows that a portal's own pipelines and properties suggest, to be read first.

HubSpot's metadata (closed, probability) needs no row: the models read it themselves.
Rows are about what metadata does not say, and are recognised by the words of
`dbt_project/policy_hints.toml`. What those do not settle is a question, not a row. A
row that can end access is marked, and says how many records it is about today.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pipelines import policy
from pipelines.errors import ConfigurationError, HubsyncError
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.definitions import Definitions
from pipelines.hubspot.reading import count, list_pages
from pipelines.policy import Json, Row

_PRODUCT_PAGES = 10  # of 100; more SKUs than that are a price list, not plans

_EFFECT_CODES = {"churn": "STATUS_CHURNED", "pause": "PAUSED", "none": "STATUS_ACTIVE"}
_EFFECT_WORDS = {
    "churn": "reads like a customer who has left",
    "pause": "reads like a pause",
    "none": "reads like a customer in good standing",
}

_WRITTEN_OUT = {
    ord(letter): text
    for letter, text in zip("äöüåøæ", ("ae", "oe", "ue", "aa", "oe", "ae"), strict=True)
}
# Letters with a stroke, which Unicode does not take apart.
_UNDECOMPOSED = {ord("ø"): "o", ord("æ"): "ae", ord("ł"): "l", ord("ı"): "i"}


@dataclass(frozen=True)
class Proposed:
    """One row for `dbt_project/seeds/<seed>.csv`. `confirm`: it rests on a name and can
    end access, so a person should say that it is right; `records` is how many records
    it is about today, None where nobody counted."""

    seed: str
    values: dict[str, str]
    why: str
    confirm: bool = False
    records: int | None = None


@dataclass(frozen=True)
class StageReading:
    """How a sync reads one stage, and by whose word."""

    pipeline: str
    pipeline_id: str
    role: str
    stage: str
    stage_id: str
    meaning: str


@dataclass
class Proposal:
    """`rows` may be written as they are; `questions` only a person can answer."""

    stages: list[StageReading] = field(default_factory=list)
    rows: list[Proposed] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


def propose(client: HubSpot, definitions: Definitions) -> Proposal:
    """What the portal suggests and the policy does not say yet.

    Costs a search for each row to be confirmed and a call per 100 products. Raises
    ConfigurationError for a policy or hints file that cannot be read.
    """
    return _Proposer(client, definitions).propose()


class _Proposer:
    def __init__(self, client: HubSpot, definitions: Definitions) -> None:
        self._client = client
        self._definitions = definitions
        self._hints = _Hints.read()
        self._known: dict[str, list[Row]] = {}
        for row in policy.rows():
            self._known.setdefault(row.seed, []).append(row)
        self._done = Proposal()

    def propose(self) -> Proposal:
        roles = self._pipelines()
        self._stages(roles)
        self._customer_status()
        self._customer_stages()
        for meaning in ("starts_on", "ends_on"):
            self._dates(meaning)
        self._subscription_statuses()
        self._plans()
        return self._done

    # Deal pipelines and their stages

    def _pipelines(self) -> dict[str, str]:
        """Pipeline id to role, as it will be with the proposed rows."""
        roles = {}
        for pipeline in self._definitions.pipelines.get("deals", []):
            label = str(pipeline.get("label") or pipeline.get("id"))
            reading, why = self._role(label)
            row = self._row_of(pipeline)
            if row is None:
                roles[str(pipeline["id"])] = reading
                self._add(
                    "deal_pipelines",
                    {
                        "object_type": "deals",
                        "pipeline": str(pipeline["id"]),
                        "role": reading,
                    },
                    f"“{label}” {why}",
                    count=(
                        self._lost_deals(pipeline) if reading == "renewal" else None
                    ),
                )
                continue
            roles[str(pipeline["id"])] = row.values["role"]
            if reading == "renewal" and row.values["role"] != "renewal":
                self._done.questions.append(
                    f"Pipeline “{label}” {why}, but {row.file} line {row.line} says "
                    f"{row.values['role']}. If its lost deals mean that a customer has "
                    "left, make that renewal."
                )
        return roles

    def _role(self, label: str) -> tuple[str, str]:
        hints, text = self._hints, _plain(label)
        if hints.has_stem("renewal_pipeline_stems", text):
            if not hints.has_stem("not_renewal_pipeline_stems", text):
                return "renewal", "reads like renewals: a lost deal means churn"
            return "sales", "may be renewals, but not only: a lost deal ends nothing"
        if hints.has_stem("other_pipeline_stems", text):
            return "ignore", "reads like no sales: its won deals give no access"
        return "sales", "is read as sales: a won deal gives access"

    def _row_of(self, pipeline: Json) -> Row | None:
        """The row that decides about a pipeline: by id before by label, as the models
        do."""
        rows = self._known.get("deal_pipelines", [])
        called = [r for r in rows if policy.is_called(pipeline, r.values["pipeline"])]
        by_id = [r for r in called if r.values["pipeline"] == str(pipeline["id"])]
        return next(iter(by_id or called), None)

    def _lost_deals(self, pipeline: Json) -> Callable[[], int | None]:
        lost = [
            str(stage["id"])
            for stage in pipeline.get("stages") or []
            if _hubspot_meaning(stage) == "lost"
        ]
        if not lost:
            return lambda: 0
        return lambda: self._count(
            "deals",
            {
                "propertyName": "pipeline",
                "operator": "EQ",
                "value": str(pipeline["id"]),
            },
            {"propertyName": "dealstage", "operator": "IN", "values": lost},
        )

    def _stages(self, roles: dict[str, str]) -> None:
        for pipeline in self._definitions.pipelines.get("deals", []):
            label = str(pipeline.get("label") or pipeline["id"])
            role = roles[str(pipeline["id"])]
            meanings = []
            for stage in pipeline.get("stages") or []:
                meaning = self._stage_meaning(pipeline, stage, role)
                meanings.append(meaning)
                self._done.stages.append(
                    StageReading(
                        label,
                        str(pipeline["id"]),
                        role,
                        str(stage.get("label") or stage["id"]),
                        str(stage["id"]),
                        meaning,
                    )
                )
            words = [meaning.split(" ", 1)[0] for meaning in meanings]
            if role == "renewal" and "lost" not in words:
                self._done.questions.append(
                    f"Renewal pipeline “{label}” has no lost stage, so it will never "
                    "say that a customer has left."
                )
            if role == "sales" and "won" not in words:
                self._done.questions.append(
                    f"Pipeline “{label}” has no won stage, so it will never give "
                    "access."
                )

    def _stage_meaning(self, pipeline: Json, stage: Json, role: str) -> str:
        label = str(stage.get("label") or stage["id"])
        for row in self._known.get("deal_stages", []):
            if policy.is_called(pipeline, row.values["pipeline"]) and policy.is_called(
                stage, row.values["stage"]
            ):
                return f"{row.values['meaning']} ({row.file} line {row.line})"
        meaning = _hubspot_meaning(stage)
        if meaning is None:
            self._done.questions.append(
                f"Stage “{label}” ({stage['id']}) of “{pipeline.get('label')}” is "
                "closed, and its probability is neither 0 nor 100 %: HubSpot does not "
                "say whether it is won. Give it a row in seeds/deal_stages.csv."
            )
            return "unknown (HubSpot)"
        if (
            role == "renewal"
            and meaning == "lost"
            and self._hints.is_one_of("clerical_stages", label)
        ):
            self._add(
                "deal_stages",
                {
                    "object_type": "deals",
                    "pipeline": str(pipeline["id"]),
                    "stage": str(stage["id"]),
                    "meaning": "open",
                },
                f"“{label}” is about the deal, not the customer: it ends nobody's "
                "access",
            )
            return "open (proposed)"
        return f"{meaning} (HubSpot)"

    # What says that a customer left

    def _customer_status(self) -> None:
        everything = self._definitions.properties.get("companies", [])
        properties = [
            each
            for each in everything
            if each.get("type") == "enumeration"
            and each.get("fieldType") in ("select", "radio")
            and not each.get("hubspotDefined")
            and not each.get("archived")
        ]
        mapped = {
            row.values["property"]
            for row in self._known.get("churn_signals", [])
            if row.values["object_type"] == "companies"
        }
        # Somebody has said which property it is: only its options can be missing.
        if any(each["name"] in mapped for each in everything):
            for each in properties:
                if each["name"] in mapped:
                    self._signals(each)
            return
        alike = [each for each in properties if self._is_status_like(each)]
        sure = [each for each in alike if self._is_about_customers(each)]
        if len(sure) == 1:
            self._signals(sure[0])
            alike.remove(sure[0])
        elif not alike:
            self._done.questions.append(
                "No company property reads like a customer's status, so who has left "
                "is known only from lost renewals and from subscriptions that ended. "
                "If one says it, give it rows in seeds/churn_signals.csv."
            )
        for each in alike:
            lines = "".join(
                f"\n    {policy.as_line('churn_signals', values)}"
                for values, _ in self._signal_rows(each)
            )
            reason = "several could be the one" if len(sure) > 1 else "its name is not"
            self._done.questions.append(
                f"Company property “{each.get('label')}” ({each['name']}) has the "
                f"options of a customer's status, but {reason}. If it is, append these "
                f"lines to seeds/churn_signals.csv:{lines}"
            )

    def _is_status_like(self, prop: Json) -> bool:
        effects = {self._effect(option) for option in prop.get("options") or []}
        return {"churn", "none"} <= effects

    def _is_about_customers(self, prop: Json) -> bool:
        text = _plain(f"{prop['name']} {prop.get('label') or ''}")
        return self._hints.has_stem(
            "status_subject_stems", text
        ) and self._hints.has_stem("status_word_stems", text)

    def _effect(self, option: Json) -> str | None:
        """What an option says by its label, which is what people choose by. None where
        that says nothing, or the internal value says something else."""
        label = str(option.get("label") or option.get("value") or "")
        effect = self._hints.group_of("statuses", label)
        by_value = self._hints.group_of("statuses", str(option.get("value") or ""))
        return effect if by_value in (None, effect) else None

    def _signal_rows(self, prop: Json) -> Iterator[tuple[dict[str, str], str]]:
        date_property = self._only_date("companies", "churn_dates") or ""
        for option in prop.get("options") or []:
            effect = self._effect(option)
            if effect is None:
                continue
            values = {
                "code": _EFFECT_CODES[effect],
                "effect": effect,
                "object_type": "companies",
                "pipeline": "",
                "stage": "",
                "property": str(prop["name"]),
                "value": str(option["value"]),
                "date_property": date_property if effect == "churn" else "",
            }
            yield values, str(option.get("label") or option["value"])

    def _signals(self, prop: Json) -> None:
        known = {
            row.values["value"].casefold()
            for row in self._known.get("churn_signals", [])
            if row.values["property"] == prop["name"]
        }
        name = f"{prop.get('label') or prop['name']}"
        for values, label in self._signal_rows(prop):
            if values["value"].casefold() in known:
                continue
            date = values["date_property"]
            from_when = f", from {date} on" if date else ""
            self._add(
                "churn_signals",
                values,
                f"“{label}” of “{name}” {_EFFECT_WORDS[values['effect']]}{from_when}",
                count=(
                    None
                    if values["effect"] == "none"
                    else self._having("companies", prop["name"], values["value"])
                ),
            )
        silent = [
            f"“{option.get('label')}” ({option['value']})"
            for option in prop.get("options") or []
            if self._effect(option) is None
            and str(option["value"]).casefold() not in known
        ]
        if silent:
            self._done.questions.append(
                f"Company property “{name}” ({prop['name']}): does "
                f"{' or '.join(silent)} end access? Until "
                "seeds/churn_signals.csv says so it changes nothing."
            )

    def _customer_stages(self) -> None:
        seed = "customer_lifecycle_stages"
        for prop in self._definitions.properties.get("companies", []):
            if prop.get("name") != "lifecyclestage":
                continue
            known = {
                row.values["value"].casefold()
                for row in self._known.get(seed, [])
                if row.values["property"] == prop["name"]
            }
            for option in prop.get("options") or []:
                value, label = str(option["value"]), str(option.get("label") or "")
                if value.casefold() in known:
                    continue
                if self._hints.is_one_of("customer_stages", label):
                    self._add(
                        seed,
                        {
                            "object_type": "companies",
                            "property": str(prop["name"]),
                            "value": value,
                        },
                        f"lifecycle stage “{label}” makes a company a customer; it "
                        "gives no access",
                    )
                elif self._hints.group_of("statuses", label) == "churn":
                    line = policy.as_line(
                        "churn_signals",
                        {
                            "code": _EFFECT_CODES["churn"],
                            "effect": "churn",
                            "object_type": "companies",
                            "property": str(prop["name"]),
                            "value": value,
                        },
                    )
                    self._done.questions.append(
                        f"Lifecycle stage “{label}” reads like customers who have "
                        "left. HubSpot moves that property by itself, so it is not "
                        "proposed as evidence; if it is, append to "
                        "seeds/churn_signals.csv:"
                        f"\n    {line}"
                    )

    # Dates and subscriptions

    def _dates(self, meaning: str) -> None:
        """When a deal's subscription starts or ends."""
        names = {p.get("name") for p in self._definitions.properties.get("deals", [])}
        known = self._known.get("policy_dates", [])
        if any(
            row.values["object_type"] == "deals"
            and row.values["meaning"] == meaning
            and row.values["property"] in names
            for row in known
        ):
            return
        name = self._only_date("deals", meaning)
        if name is None:
            if meaning == "ends_on" and not self._dates_like("deals", meaning):
                self._done.questions.append(
                    "No deal property reads like the end of a contract, so a won deal "
                    "without a recurring line item gives access without end. If one "
                    "is, give it a row in seeds/policy_dates.csv."
                )
            return
        ends = meaning == "ends_on"
        self._add(
            "policy_dates",
            {
                "object_type": "deals",
                "property": name,
                "meaning": meaning,
                "priority": "1",
            },
            "reads like the end of a contract: access ends after it"
            if ends
            else "reads like the start of a contract: access begins with it",
            count=self._having("deals", name) if ends else None,
        )

    def _dates_like(self, object_type: str, hint: str) -> list[str]:
        return [
            str(each["name"])
            for each in self._definitions.properties.get(object_type, [])
            if each.get("type") in ("date", "datetime")
            and not each.get("archived")
            and any(
                self._hints.is_one_of(hint, str(each.get(key) or ""))
                for key in ("name", "label")
            )
        ]

    def _only_date(self, object_type: str, hint: str) -> str | None:
        found = self._dates_like(object_type, hint)
        if len(found) > 1:
            question = (
                f"Which of {', '.join(found)} of {object_type} is meant by "
                f"{hint.replace('_', ' ')}? None is taken until a row in seeds/ "
                "names it."
            )
            if question not in self._done.questions:
                self._done.questions.append(question)
        return found[0] if len(found) == 1 else None

    def _subscription_statuses(self) -> None:
        seed = "subscription_statuses"
        properties = self._definitions.properties.get("subscriptions", [])
        mapped = {row.values["property"] for row in self._known.get(seed, [])}
        for prop in properties:
            if prop.get("name") not in mapped:
                continue
            known = {
                row.values["value"].casefold()
                for row in self._known[seed]
                if row.values["property"] == prop["name"]
            }
            for option in prop.get("options") or []:
                value, label = str(option["value"]), str(option.get("label") or "")
                if value.casefold() in known:
                    continue
                status = self._hints.group_of(
                    "subscription_statuses", value
                ) or self._hints.group_of("subscription_statuses", label)
                if status is None:
                    self._done.questions.append(
                        f"What does “{label}” ({value}) of {prop['name']} mean for a "
                        "subscription? Until seeds/subscription_statuses.csv says so, "
                        "access is held as it was."
                    )
                    continue
                ends = status in ("canceled", "ended", "paused")
                self._add(
                    seed,
                    {
                        "object_type": "subscriptions",
                        "property": str(prop["name"]),
                        "value": value,
                        "status": status,
                    },
                    f"“{label or value}” reads like {status}",
                    count=(
                        self._having("subscriptions", str(prop["name"]), value)
                        if ends
                        else None
                    ),
                )

    # Plans

    def _plans(self) -> None:
        """SKUs and options that carry the name of a level."""
        levels = [
            values["access_level"]
            for values in policy.read_seed("access_levels")
            if values["access_level"] != "none"
        ]
        known = {
            (row.values["object_type"], row.values["property"], row.values["value"])
            for row in self._known.get("plans", [])
        }
        known_folded = {(o, p, v.casefold()) for o, p, v in known}
        unnamed = []
        for sku, name in self._products().items():
            targets = [
                kind
                for kind in ("line_items", "products")
                if (kind, "hs_sku", sku.casefold()) not in known_folded
            ]
            if not targets:
                continue
            words = set(_plain(f"{sku} {name}").split())
            named = [level for level in levels if set(_plain(level).split()) <= words]
            if len(named) != 1:
                unnamed.append(f"{sku} ({name})" if name else sku)
                continue
            for kind in targets:
                self._add(
                    "plans",
                    {
                        "object_type": kind,
                        "property": "hs_sku",
                        "value": sku,
                        "plan_code": sku,
                        "access_level": named[0],
                    },
                    f"product “{name or sku}” has the level's name",
                )
        if unnamed:
            shown = ", ".join(unnamed[:5])
            more = f" and {len(unnamed) - 5} more" if len(unnamed) > 5 else ""
            self._done.questions.append(
                f"Which level do these products give: {shown}{more}? Until "
                "seeds/plans.csv says so they give default_access_level."
            )

    def _products(self) -> dict[str, str]:
        """SKU to product name; empty where products cannot be read."""
        found: dict[str, str] = {}
        kind = self._definitions.object_types.get("products")
        if kind is None:
            return found
        pages = list_pages(self._client, kind, ["name", "hs_sku"])
        try:
            for records, _ in islice(pages, _PRODUCT_PAGES):
                for record in records:
                    values = record.get("properties") or {}
                    sku = str(values.get("hs_sku") or "").strip()
                    if sku:
                        found.setdefault(sku, str(values.get("name") or "").strip())
        except HubsyncError:
            return {}  # check says of each type whether it may be read
        return found

    # Common

    def _add(
        self,
        seed: str,
        values: dict[str, str],
        why: str,
        *,
        count: Callable[[], int | None] | None = None,
    ) -> None:
        """Propose a row. With `count` it can end access: somebody should confirm it."""
        self._done.rows.append(
            Proposed(
                seed,
                {**values, "if_missing": "error"},
                why,
                confirm=count is not None,
                records=count() if count is not None else None,
            )
        )

    def _having(
        self, object_type: str, name: str, value: str | None = None
    ) -> Callable[[], int | None]:
        condition = {"propertyName": name, "operator": "HAS_PROPERTY"}
        if value is not None:
            condition |= {"operator": "EQ", "value": value}
        return lambda: self._count(object_type, condition)

    def _count(self, object_type: str, *conditions: Json) -> int | None:
        """How many records meet all conditions; None where HubSpot does not say."""
        kind = self._definitions.object_types[object_type]
        try:
            return count(self._client, kind, conditions)
        except HubsyncError:
            return None  # check says of each type whether it may be read


def _hubspot_meaning(stage: Json) -> str | None:
    """As int_deal_stages reads it: open, won, lost; None where HubSpot does not say."""
    metadata = stage.get("metadata") or {}
    closed = str(metadata.get("isClosed", "")).lower()
    try:
        probability = float(str(metadata.get("probability")))
    except ValueError:
        probability = -1.0  # HubSpot says none
    if closed == "false" or (closed != "true" and probability not in (0, 1)):
        return "open"
    return {1.0: "won", 0.0: "lost"}.get(probability)


class _Hints:
    """`policy_hints.toml`, each entry as a text is compared with it."""

    def __init__(self, words: dict[str, Any]) -> None:
        self._lists = {
            name: _spellings(given)
            for name, given in words.items()
            if isinstance(given, list)
        }
        self._groups = {
            name: {group: _spellings(given) for group, given in groups.items()}
            for name, groups in words.items()
            if isinstance(groups, dict)
        }

    @classmethod
    def read(cls) -> _Hints:
        path = policy.SEEDS.parent / "policy_hints.toml"
        try:
            return cls(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(
                f"dbt_project/{path.name} cannot be read: {error}. Nothing was "
                "proposed or written."
            ) from None

    def has_stem(self, name: str, text: str) -> bool:
        """Whether a stem of that list stands in a text that `_plain` has made plain."""
        return any(stem in text for stem in self._lists[name])

    def is_one_of(self, name: str, text: str) -> bool:
        """Whether a whole text is in that list."""
        return _plain(text) in self._lists[name]

    def group_of(self, name: str, text: str) -> str | None:
        """Which group of that name has the whole text."""
        plain = _plain(text)
        return next(
            (g for g, words in self._groups[name].items() if plain in words), None
        )


def _spellings(words: Iterable[str]) -> frozenset[str]:
    """Each word plain, and with umlauts written out, as internal names have them."""
    folded = [str(word).casefold() for word in words]
    return frozenset(
        _plain(text) for word in folded for text in (word, word.translate(_WRITTEN_OUT))
    )


def _plain(text: str) -> str:
    """Without case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", text.casefold()).translate(_UNDECOMPOSED)
    kept = "".join(each for each in letters if not unicodedata.combining(each))
    return " ".join(re.sub(r"[\W_]+", " ", kept).split())

"""What the report says, read from `app` and `ops` in one snapshot.

The questions are the files of `sql/`; one whose tables do not exist yet, because no
sync has come that far, has no answer, and its part of the page says so.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from pipelines import decisions, evidence
from pipelines.status import read_status
from pipelines.warehouse import Connection, Warehouse

Row = dict[str, Any]

_FOLDER = Path(__file__).parent
_TABLE = re.compile(r"\b(?:from|join)\s+(\w+)\.(\w+)")
_PERIODS = (("today", "Today", 1), ("week", "7 days", 7), ("month", "30 days", 30))
_SHOWN_RUNS = 8
_CHART_DAYS = (7, 14, 30)

WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (_FOLDER / "words.toml").read_text(encoding="utf-8")
)


def words(kind: str, code: Any) -> str:
    """What a code means to the reader; an unknown one as it reads."""
    return WORDS[kind].get(str(code)) or str(code).replace("_", " ").capitalize()


@dataclass(frozen=True)
class Names:
    """What HubSpot calls its types, properties and stages, and where records are."""

    types: dict[str, str]
    properties: dict[tuple[str, str], str]
    stages: dict[tuple[str, str], str]
    urls: dict[str, str]

    def type(self, object_type: Any) -> str:
        """One record of the type."""
        return self.types.get(str(object_type)) or str(object_type).capitalize()

    def fact(self, told: Any) -> Row | None:
        """Evidence in words: text, instant (what of), by whom, and the link."""
        found = orjson.loads(told) if isinstance(told, str) else (told or {})
        if found.get("undone_run_id"):
            text = f"Run {found['undone_run_id']} was undone: {found.get('reason')}"
            return {"text": text, "at": None, "set": False, "by": None, "url": None}
        object_type, id = found.get("object_type"), found.get("object_id")
        if not object_type or not id:
            return None
        changed = found.get("changed_at")
        at = changed or found.get("hubspot_updated_at")
        return {
            "text": self._told(found),
            "at": datetime.fromisoformat(at) if at else None,
            "set": bool(changed),
            "by": found.get("changed_by"),
            "url": found.get("hubspot_url"),
            "record": f"{self.type(object_type)} {id}",
            "object_type": object_type,
            "object_id": id,
        }

    def _told(self, found: Row) -> str:
        object_type, name = str(found["object_type"]), found.get("property")
        if not name:
            return f"{self.type(object_type)} record {found['object_id']}"
        label = self.properties.get((object_type, name), name)
        text = f"{label}: {self._value(object_type, name, found.get('value'))}"
        if found.get("old_value"):
            was = self._value(object_type, name, found["old_value"])
            text += f" (before: {was})"
        if found.get("inherited_from"):
            text += f", of company {found['inherited_from']}"
        return text

    def _value(self, object_type: str, name: str, value: Any) -> str:
        if value in (None, ""):
            return "empty"
        if name.endswith("stage"):
            return self.stages.get((object_type, value), str(value))
        return str(value)


@dataclass(frozen=True)
class Content:
    """Everything on the page; instants in UTC, durations in seconds."""

    written_at: datetime
    status: Row
    names: Names
    waiting: list[Row]
    losses: list[Row]
    periods: list[Row]
    beginning: Row | None
    findings: list[Row]
    to_fix: int
    settings_to_fix: int
    ending: list[Row]
    runs: list[Row]
    last_sync: Row | None
    budget: Row | None
    reconciled: Row | None
    calls_today: int
    failed_runs: int
    all_runs: int
    charts: Row
    customers: Row
    customer_count: int


class Answers:
    """What the files of `sql/` ask, answered by one snapshot, and what waits."""

    def __init__(self, warehouse: Warehouse, limit_minutes: float) -> None:
        """Raises HubsyncError where the database cannot be opened; `app` is stale
        after `limit_minutes`."""
        self.status = read_status(warehouse, limit_minutes)
        self.waiting = (
            evidence.planned(warehouse, decisions.IS_WAITING)
            if warehouse.holds("ops", "access_plan")
            else []
        )
        with warehouse.snapshot() as connection:
            known = set(
                connection.execute(
                    "select table_schema, table_name from information_schema.tables"
                )
            )
            self._answers = {
                file.stem: _answer(connection, known, file.read_text(encoding="utf-8"))
                for file in sorted((_FOLDER / "sql").glob("*.sql"))
            }

    def ask(self, name: str) -> list[Row]:
        columns, rows = self._answers[name]
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def one(self, name: str) -> Row | None:
        return next(iter(self.ask(name)), None)

    def columns(self, name: str) -> defaultdict[str, Sequence[Any]]:
        """The same by column; nothing in any of them where there is no answer."""
        columns, rows = self._answers[name]
        found: defaultdict[str, Sequence[Any]] = defaultdict(tuple)
        found.update(zip(columns, zip(*rows, strict=True), strict=bool(rows)))
        return found


def _answer(
    connection: Connection, known: set[tuple[Any, ...]], sql: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    if not set(_TABLE.findall(sql)) <= known:
        return [], []
    rows = connection.execute(sql)
    return connection.columns, rows


def told(ask: Answers) -> Content:
    """What they come to."""
    now = datetime.now(UTC)
    names = _names(ask)
    findings = ask.ask("findings")
    moves = [_move(names, row) for row in ask.ask("moves")]
    runs = ask.ask("runs")
    calls = {row["day"]: row for row in ask.ask("calls_by_day")}
    beginning = ask.one("beginning")
    customers = _columns(names, ask, beginning)
    return Content(
        written_at=now,
        status=ask.status,
        names=names,
        waiting=[_held(names, row) for row in ask.waiting],
        losses=ask.ask("losses"),
        periods=_periods(moves, now),
        beginning=beginning if beginning and beginning["customers"] else None,
        findings=_worklist(names, findings),
        to_fix=len(
            {
                (row["object_type"], row["object_id"])
                for row in findings
                if row["object_id"] and row["severity"] != "info"
            }
        ),
        settings_to_fix=sum(
            not row["object_id"] and row["severity"] != "info" for row in findings
        ),
        ending=_ending(names, ask.ask("ending")),
        runs=runs[:_SHOWN_RUNS],
        last_sync=next(
            (
                run
                for run in runs
                if run["command"] == "sync" and run["status"] != "running"
            ),
            None,
        ),
        # By `get`: a database may be older than these columns.
        budget=next((run for run in runs if run.get("daily_calls")), None),
        reconciled=_reconciled(ask.one("reconciled")),
        calls_today=int(calls[now.date()]["api_calls"] or 0)
        if now.date() in calls
        else 0,
        failed_runs=sum(int(row["failed"]) for row in calls.values()),
        all_runs=sum(int(row["runs"]) for row in calls.values()),
        charts=_charts(ask, now.date(), calls, runs, moves),
        customers=customers,
        customer_count=len(customers["id"]),
    )


def _names(ask: Answers) -> Names:
    return Names(
        types={row["object_type"]: row["label_singular"] for row in ask.ask("types")},
        properties={
            (row["object_type"], row["name"]): row["label"]
            for row in ask.ask("properties")
        },
        stages={
            (row["object_type"], row["stage_id"]): row["stage_label"]
            for row in ask.ask("stages")
        },
        urls={row["object_type"]: row["url_base"] for row in ask.ask("urls")},
    )


def _move(names: Names, row: Row) -> Row:
    return {
        **row,
        "reason": words("reasons", row["reason_code"]),
        "fact": names.fact(row["evidence"]),
    }


def _held(names: Names, row: Row) -> Row:
    url = names.urls.get("companies")
    change = row["change_class"] or row["action"]
    return {
        **_move(names, row),
        "change": words("changes", change),
        "hold": words("holds", row["hold_reason"]),
        # Of protected customers each has a sentence of its own.
        "hold_key": f"{row['hold_reason']} {row['hold_detail']}",
        "hubspot_url": url and url + row["customer_id"],
    }


def _periods(moves: list[Row], now: datetime) -> list[Row]:
    """Today, 7 days and 30 days, each with who lost and who gained; days in UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    periods = []
    for key, label, days in _PERIODS:
        since = midnight - timedelta(days=days - 1)
        within = [move for move in moves if move["occurred_at"] >= since]
        periods.append(
            {
                "key": key,
                "label": label,
                "lost": [move for move in within if not move["to_enabled"]],
                "gained": [move for move in within if move["to_enabled"]],
                "chosen": False,
            }
        )
    # The shortest span in which something happened is the one to open with.
    chosen = next((p for p in periods if p["lost"] or p["gained"]), periods[1])
    chosen["chosen"] = True
    return periods


def _worklist(names: Names, findings: list[Row]) -> list[Row]:
    """By what to do: the urgent first, then the many."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in findings:
        record = row["record_name"] or (
            f"{names.type(row['object_type'])} {row['object_id']}"
            if row["object_id"]
            else names.type(row["object_type"])
        )
        shown = {**row, "record": record, "type": names.type(row["object_type"])}
        groups.setdefault((row["severity"], row["kind"]), []).append(shown)
    for rows in groups.values():
        common = len(rows) > 1 and len({row["what_to_do"] for row in rows}) == 1
        for row in rows:  # then it is said once, above them
            row["common"] = common
    order = list(WORDS["severities"])
    return [
        {
            "kind": kind,
            "severity": severity,
            "title": rows[0].get("title") or words("reasons", kind),
            "rows": rows,
        }
        for (severity, kind), rows in sorted(
            groups.items(),
            key=lambda each: (order.index(each[0][0]), -len(each[1]), each[0][1]),
        )
    ]


def _ending(names: Names, rows: list[Row]) -> list[Row]:
    return [
        {
            "kind": kind,
            "label": label,
            "rows": [_move(names, row) for row in rows if row["kind"] == kind],
        }
        for kind, label in WORDS["ends"].items()
    ]


def _reconciled(row: Row | None) -> Row | None:
    """The percentage of the last comparison, and how many rows it is of."""
    if row is None:
        return None
    error = str(row["error"] or "")
    percent = re.search(r"([\d.]+) % in step", error)
    counts = orjson.loads(row["rows_read"] or "{}")
    return {
        "at": row["finished_at"],
        "percent": (percent[1].removesuffix(".00") if percent else "100"),
        "differs": bool(percent),
        # A repair compares twice; only of a plain one the sum means anything.
        "rows": sum(counts.values()) if row["command"] == "reconcile" else None,
    }


def _charts(
    ask: Answers,
    today: date,
    calls: dict[date, Row],
    runs: list[Row],
    moves: list[Row],
) -> Row:
    """Series over days, as many as there is history for; and the seconds of runs."""
    moved = Counter(
        (move["occurred_at"].astimezone(UTC).date(), bool(move["to_enabled"]))
        for move in moves
    )
    latency = {row["day"]: row for row in ask.ask("latency_by_day")}
    first = min([today, *calls, *(day for day, _ in moved)])
    span = next((n for n in _CHART_DAYS if (today - first).days < n), _CHART_DAYS[-1])
    days = [today - timedelta(days=back) for back in reversed(range(span))]

    def series(rows: dict[date, Row], name: str, otherwise: Any = None) -> list[Any]:
        return [
            round(float(rows[day][name] or 0), 1) if day in rows else otherwise
            for day in days
        ]

    syncs = [
        run
        for run in reversed(runs)
        if run["command"] == "sync" and run["seconds"] is not None
    ]
    return {
        "days": [_epoch(datetime(d.year, d.month, d.day, tzinfo=UTC)) for d in days],
        "gained": [moved[day, True] for day in days],
        "lost": [moved[day, False] for day in days],
        "median": series(latency, "median_seconds"),
        "slowest": series(latency, "slowest_seconds"),
        "calls": series(calls, "api_calls", 0),
        "runs": [_epoch(run["started_at"]) for run in syncs],
        "seconds": [
            round(float(run["seconds"]), 1) if run["status"] == "done" else None
            for run in syncs
        ],
        "failed": [
            None if run["status"] == "done" else round(float(run["seconds"]), 1)
            for run in syncs
        ],
    }


def _columns(names: Names, ask: Answers, beginning: Row | None) -> Row:
    """All customers by column: smaller than rows, and quicker to make and to search."""
    customers, changes = ask.columns("customers"), ask.columns("changes")
    place = {id: at for at, id in enumerate(customers["customer_id"])}
    facts = [names.fact(told) or {} for told in customers["evidence"]]
    return {
        "id": customers["customer_id"],
        "name": customers["name"],
        "domain": customers["domain"],
        "state": customers["record_state"],
        "level": customers["access_level"],
        "on": customers["is_enabled"],
        "decided": customers["is_decided"],
        "reason": customers["reason_code"],
        "until": customers["access_until"],
        "since": customers["effective_at"],
        "fact": [fact.get("text") for fact in facts],
        "factAt": [_epoch(fact.get("at")) for fact in facts],
        "factSet": _flags([fact.get("set") for fact in facts]),
        "factBy": [fact.get("by") for fact in facts],
        "factType": [fact.get("object_type") for fact in facts],
        "factId": [fact.get("object_id") for fact in facts],
        # Whose changes are not listed had one, in the first publication; when that was.
        "changed": customers["has_changes"],
        "began": _epoch(beginning["occurred_at"]) if beginning else None,
        "waits": {
            str(place[row["customer_id"]]): words(
                "changes", row["change_class"] or row["action"]
            )
            for row in ask.waiting
            if row["customer_id"] in place
        },
        "changes": {
            "of": [place[id] for id in changes["customer_id"]],
            "at": [_epoch(moment) for moment in changes["occurred_at"]],
            "from": changes["from_level"],
            "to": changes["to_level"],
            "was": _flags(changes["from_enabled"]),
            "is": _flags(changes["to_enabled"]),
            "reason": changes["reason_code"],
            "by": changes["approved_by"],
        },
        "aliases": {
            row["alias_id"]: place[row["customer_id"]]
            for row in ask.ask("aliases")
            if row["customer_id"] in place
        },
        "urls": names.urls,
        "types": names.types,
        "reasons": {
            code: words("reasons", code)
            for code in sorted(
                map(str, {*customers["reason_code"], *changes["reason_code"]})
            )
        },
    }


def _flags(found: Sequence[Any]) -> list[int]:
    return [int(bool(each)) for each in found]


def _epoch(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())

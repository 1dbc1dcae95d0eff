"""Results in words, for people: a terminal, a pipe or a scheduler's mail."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pipelines.check import Answer
    from pipelines.decisions import Decision
    from pipelines.hubspot.comparison import Comparison, Difference
    from pipelines.policy import Change
    from pipelines.proposal import Proposal
    from pipelines.reconcile import Reconciliation
    from pipelines.report import Written
    from pipelines.sync import Finished
    from pipelines.undo import Undone

_SHOWN = 12  # customers; beyond that the reader wants a query, not a scroll
_SHOWN_DIFFERENCES = 50
_SHOWN_VALUES = 4
_WIDTH_OF_A_PIPE = 120

_WITHOUT = "new, without access"

# Of a plan's actions, those that people ask about first.
_ORDER = {"revoke": 0, "grant": 1, "change": 2, "create": 3, "update": 4}


def _console() -> Console:
    """Names from HubSpot are text: no markup, no emoji codes, no highlighting."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(
            markup=False, emoji=False, highlight=False, width=_WIDTH_OF_A_PIPE
        )
    return console


def print_sync(
    done: Finished, events: list[dict[str, Any]], findings: dict[str, int]
) -> None:
    """What a sync changed, why, and what it cost."""
    console, run = _console(), done.run
    console.print()
    moved = sorted(
        ((_action(event), event) for event in events), key=lambda each: each[0]
    )
    counts = Counter(action for action, _ in moved)
    without = counts.pop(_WITHOUT, 0)
    if counts:
        console.print(f"Access: {_counts(counts)}.", style="bold")
        _customers(console, [each for each in moved if each[0] != _WITHOUT])
    else:
        console.print("Nobody gained or lost access.", style="bold")
    if without:
        console.print(f"{without} new customers have no access.")
    _waiting(console, done.waiting)
    console.print()
    _line(console, "HubSpot records", _counts(run.rows_changed) or "none changed")
    _line(console, "rows in app", _counts(run.app_rows_changed) or "none touched")
    _line(console, "API calls", _total(run.calls))
    _line(console, "seconds", _counts(run.seconds))
    if findings:
        _line(console, "findings", f"{_counts(findings)} (select * from ops.findings)")
    else:
        _line(console, "findings", "none")
    _notes(console, done)
    if done.report:
        _line(console, "report", str(done.report))
    _line(console, "run", f"{run.run_id} into the {done.warehouse.describe()}")


def print_round(done: Finished, events: list[dict[str, Any]]) -> None:
    """One of many runs, in a line; more only where a person has to know."""
    console, run = _console(), done.run
    counts = Counter(_action(event) for event in events)
    counts.pop(_WITHOUT, None)
    seconds = sum(run.seconds.values())
    said = [
        f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        f"exit code {run.exit_code}",
        f"{seconds:.1f} s",
        f"{sum(run.calls.values())} calls",
        _counts(counts) or "nobody gained or lost access",
    ]
    if run.held:
        said.append(f"{run.held} held: hubsync plan")
    console.print(" · ".join(said), soft_wrap=True)
    for note in done.notes:
        console.print(f"  {note}", soft_wrap=True)


def print_failed_round(exit_code: int, error: str) -> None:
    """One of many runs that failed; the next one tries again."""
    now = datetime.now(UTC)
    text = f"{now:%Y-%m-%d %H:%M:%S} · exit code {exit_code} · {error}"
    _console().print(text, soft_wrap=True)


def print_plan(done: Finished, plan: dict[str, Any]) -> None:
    """What a sync would change, with a reason per customer."""
    console, changes = _console(), plan["changes"]
    console.print()
    held = sum(bool(change.get("held")) for change in changes)
    if changes:
        counts = Counter(str(change["action"]) for change in changes)
        console.print(
            f"A sync would change {len(changes)} customers: {_counts(counts)}"
            + (f"; {held} held." if held else "."),
            style="bold",
        )
        _customers(
            console,
            [
                (f"{each['action']}{' (held)' if each.get('held') else ''}", each)
                for each in sorted(changes, key=lambda each: _ORDER[each["action"]])
            ],
        )
    else:
        console.print("A sync would change no customer.", style="bold")
    _waiting(console, done.waiting)
    console.print()
    _line(console, "API calls", _total(done.run.calls))
    _line(console, "seconds", _counts(done.run.seconds))
    _notes(console, done)
    if plan["plan_id"]:
        _line(console, "plan", str(plan["plan_id"]))
    console.print("Nothing was published; hubsync sync does that.")


def print_status(status: dict[str, Any]) -> None:
    """Freshness first, then the last runs, then what waits for a person."""
    console = _console()
    age, limit = status["age_minutes"], status["stale_after_minutes"]
    if age is None:
        sentence = f"STALE: nothing was ever published to the {status['database']}."
    else:
        word = "Fresh" if status["fresh"] else "STALE"
        sentence = (
            f"{word}: the {status['database']} is as HubSpot was {_minutes(age)} ago "
            f"(limit {_minutes(limit)})."
        )
    console.print(sentence, style="green" if status["fresh"] else "bold red")
    if status["runs"]:
        table = _table(
            "started", "command", "status", "seconds", "calls", "changes", "", ""
        )
        for run in status["runs"]:
            finished, started = run["finished_at"], run["started_at"]
            table.add_row(
                f"{started:%Y-%m-%d %H:%M:%S}",
                run["command"],
                run["status"],
                f"{(finished - started).total_seconds():.1f}" if finished else "",
                _number(run["api_calls"]),
                _number(run["changes"]),
                _latency(run.get("latency")),
                Text((run["error"] or "").split("\n")[0], overflow="ellipsis"),
            )
        console.print(table)
    latency = status["latency"]
    if latency and latency["changes"]:
        _line(
            console,
            "edit to access",
            f"{_latency(latency)} ({latency['changes']:,} changes in "
            f"{latency['days']} days)",
        )
    waiting = status["waiting"]
    if waiting:
        _line(
            console,
            "waiting",
            f"{waiting['changes']} changes since {waiting['since']:%Y-%m-%d %H:%M}, "
            f"plan {waiting['plan_id']} (hubsync plan)",
        )
    _line(console, "findings", _counts(status["findings"]) or "none")


def print_decision(decision: Decision) -> None:
    """What was decided, and what follows from it."""
    what = (
        f"{decision.decision} by {decision.decided_by} on "
        f"{decision.decided_at:%Y-%m-%d %H:%M:%S}"
    )
    if decision.earlier:
        _console().print(
            f"Plan {decision.plan_id} was {what}; nothing waits, nothing was done."
        )
        return
    follows = (
        "They are published now."
        if decision.decision == "approved"
        else "They are ignored until their evidence changes."
    )
    _console().print(f"{decision.changes} changes {what}. {follows}")


def print_undo(done: Undone) -> None:
    """Whose access is as before the run again, and who was left, and why."""
    console = _console()
    if done.restored:
        console.print(
            (
                "1 customer has the access again that it had "
                if len(done.restored) == 1
                else f"{len(done.restored)} customers have the access again that they "
                "had "
            )
            + f"before run {done.undone_run_id}.",
            style="bold",
            soft_wrap=True,
        )
        _customers(
            console,
            [
                (
                    _action(row),
                    {**row, "reason_code": f"undone: {row['undone_reason']}"},
                )
                for row in done.restored
            ],
        )
        console.print(
            "What HubSpot said is ignored for them until it says something else.",
            soft_wrap=True,
        )
    else:
        console.print(
            f"Nothing was changed: run {done.undone_run_id} changed no access that is "
            "still as it left it.",
            style="bold",
            soft_wrap=True,
        )
    if done.skipped:
        console.print(f"{len(done.skipped)} customers were left as they are:")
    for row in done.skipped:
        name = f"{row['name']} ({row['customer_id']})"
        console.print(f"  {name}: {row['why_not']}", soft_wrap=True)
    _line(console, "run", done.run_id)


def print_why(answer: dict[str, Any]) -> None:
    """The verdict first, then what it rests on, then how it came about.

    Lines, not a table: an explanation is read out on the phone, copied and searched,
    so nothing in it is cut, padded or folded to the width of a terminal.
    """
    console, access = _console(), answer["access"]
    name = f"{answer['name']} (customer {answer['customer_id']})"
    if access is None:
        console.print(
            f"{name} has no access row yet: the next sync decides.", soft_wrap=True
        )
    else:
        word = "has access" if access["is_enabled_now"] else "has NO access"
        console.print(
            f"{name} {word}: {access['reason_code']}.", style="bold", soft_wrap=True
        )
        _line(console, "level", str(access["access_level"]))
        for label, text in _told(access["evidence"] or {}):
            _line(console, label, text)
        if access["effective_at"]:
            _line(console, "effective", _instant(access["effective_at"]))
        if access["access_until"]:
            _line(console, "access until", _instant(access["access_until"]))
        _line(
            console,
            "decided",
            f"{_instant(access['decided_at'])} by run {access['run_id']}",
        )
    for change in answer["planned"]:
        state = f"held, {change['hold_reason']}" if change["held"] else "planned"
        _line(console, change["action"], f"{state}: {because(change)}")
        for label, text in _told(change["evidence"] or {}):
            _line(console, f"  {label}", text)
        if change["hold_detail"]:
            _line(console, "  why it waits", change["hold_detail"])
        if change["held"] and change["hold_reason"] not in ("REJECTED", "UNDONE"):
            _line(console, "  plan", f"{change['plan_id']} (hubsync approve, reject)")
    for override in answer["overrides"]:
        ends = override["ends_at"]
        until = f"until {_instant(ends)}" if ends else "without an end: ignored"
        over = "" if override["is_in_force"] or not ends else ", over"
        text = f"{override['property']} = {override['value']}, {until}{over}"
        _line(console, f"override {override['effect']}", text)
    for record in answer["subscriptions"]:
        ends = record["ends_on"] or "open-ended"
        text = (
            f"{record['subscription_id']} {record['status']}, "
            f"{record['plan_code'] or 'no plan'}, {record['starts_on']} to {ends}"
        )
        _line(console, "subscription", f"{text} {record['hubspot_url'] or ''}".strip())
    if answer["hubspot_url"]:
        _line(console, "in HubSpot", answer["hubspot_url"])
    console.print()
    console.print("Timeline, oldest first:" if answer["timeline"] else "No event yet.")
    for event in answer["timeline"]:
        _event(console, event, answer["customer_id"])


def _event(console: Console, event: dict[str, Any], customer_id: str) -> None:
    """One change of access: when, what, why, by whom, and when the app could see it."""
    levels = f"{event['from_level'] or '-'} → {event['to_level']}"
    of = event["customer_id"]
    alias = "" if of == customer_id else f" (as customer {of}, merged since)"
    console.print(
        f"  {_instant(event['occurred_at'])}  {_action(event)}, {levels}{alias}: "
        f"{because(event)}",
        soft_wrap=True,
    )
    for label, text in _told(event["evidence"] or {}):
        if label != "evidence" or " → " in text:
            _line(console, f"    {label}", text)
    if event["approved_by"]:
        _line(console, "    approved by", event["approved_by"])
    published = event["published_at"]
    seen = f"published {_instant(published)} " if published else ""
    _line(console, "    by run", f"{event['run_id']} {seen}".strip())


def _instant(moment: datetime) -> str:
    """All clocks in UTC; HubSpot's own and ours are told apart by their label."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _told(evidence: dict[str, Any]) -> list[tuple[str, str]]:
    """What a verdict rests on, as labelled lines. Times are HubSpot's own."""
    lines = []
    if evidence.get("object_id"):
        text = f"{evidence['object_type']} {evidence['object_id']}"
        if evidence.get("property"):
            new = _short(evidence.get("value"))
            if evidence.get("changed_at") or evidence.get("old_value") is not None:
                new = f"{_short(evidence.get('old_value'))} → {new}"
            text += f": {evidence['property']} {new}"
        lines.append(("evidence", text))
    if evidence.get("changed_at"):
        moment = datetime.fromisoformat(evidence["changed_at"])
        lines.append(("in HubSpot", f"changed {_instant(moment)}{_by(evidence)}"))
    elif evidence.get("hubspot_updated_at"):
        moment = datetime.fromisoformat(evidence["hubspot_updated_at"])
        lines.append(("in HubSpot", f"record last changed {_instant(moment)}"))
    if evidence.get("hubspot_url"):
        lines.append(("link", str(evidence["hubspot_url"])))
    return lines


def _by(evidence: dict[str, Any]) -> str:
    """Who made the change, as far as HubSpot tells: a user's id, and through what."""
    who = f" by user {evidence['changed_by']}" if evidence.get("changed_by") else ""
    return who + (f" ({evidence['source']})" if evidence.get("source") else "")


def _waiting(console: Console, rows: list[dict[str, Any]]) -> None:
    """What waits for a person, why, and the commands that decide it."""
    if not rows:
        return
    plan_id = rows[0]["plan_id"]
    console.print()
    console.print(f"{len(rows)} changes WAIT for a person:", style="bold yellow")
    for reason in sorted({str(row["hold_reason"]) for row in rows}):
        of = [row for row in rows if row["hold_reason"] == reason]
        console.print(f"  {len(of)} × {reason}. {of[0]['hold_detail']}", soft_wrap=True)
    for word in ("approve", "reject"):
        console.print(
            f"  hubsync {word} {plan_id} --by NAME --reason TEXT", soft_wrap=True
        )


def print_report(written: Written) -> None:
    """Its first sentence, and where the rest is."""
    console = _console()
    console.print(f"{written.sentence}.", style="bold", soft_wrap=True)
    _line(console, "report", f"{written.path} ({written.bytes / 1e6:.1f} MB)")


def print_answer(answer: Answer) -> None:
    """One checked thing."""
    console = _console()
    mark = (
        Text("✓ ", style="green") if not answer.exit_code else Text("✗ ", style="red")
    )
    console.print(mark, f"{answer.subject}: {answer.text}", sep="", soft_wrap=True)


def print_proposal(proposal: Proposal) -> None:
    """How stages are read, the rows the portal suggests, and what a person must say."""
    console = _console()
    if proposal.stages:
        console.print()
        console.print("Deals, as a sync reads them:", style="bold")
        table = _table("pipeline", "id", "counts as", "stage", "id", "means")
        before = None
        for each in proposal.stages:
            first = (each.pipeline, each.pipeline_id, each.role)
            if each.pipeline_id == before:
                first = ("", "", "")
            table.add_row(*first, each.stage, each.stage_id, each.meaning)
            before = each.pipeline_id
        console.print(table)
    console.print()
    if not proposal.rows:
        console.print("Policy: nothing to propose; it says what this portal suggests.")
    else:
        console.print(
            f"Policy proposal, {_many(len(proposal.rows), 'row')} that this portal "
            "suggests:",
            style="bold",
        )
    for row in proposal.rows:
        mark = Text("? ", style="yellow") if row.confirm else Text("+ ", style="green")
        values = ",".join(row.values.values())
        today = "" if row.records is None else f"; {_many(row.records, 'record')} today"
        console.print(mark, f"{row.seed}: {values}", sep="", soft_wrap=True)
        console.print(f"    {row.why}{today}", soft_wrap=True)
    if any(row.confirm for row in proposal.rows):
        console.print(
            "Rows with ? rest on a name and can end access: are they right?",
            style="yellow",
            soft_wrap=True,
        )
    if proposal.questions:
        console.print()
        console.print("Not guessed, for you to say:", style="bold")
    for question in proposal.questions:
        console.print(f"- {question}", soft_wrap=True)


def print_how_to_write() -> None:
    """What comes after a proposal that was not written."""
    _console().print(
        "\nhubsync check --write-policy appends these rows to dbt_project/seeds.",
        soft_wrap=True,
    )


def print_changes(changes: list[Change]) -> None:
    """What would be written, as a diff."""
    console = _console()
    console.print()
    for change in changes:
        console.print(change.diff, soft_wrap=True)


def print_written(changes: list[Change]) -> None:
    """Where it went, and what to do before anything is published."""
    console = _console()
    console.print(
        f"Written to {', '.join(change.file for change in changes)}; every row that "
        "was there is as it was.",
        soft_wrap=True,
    )
    console.print("hubsync plan shows whose access they would change.", soft_wrap=True)


def agreed(question: str) -> bool:
    """Ask on the terminal; anything but yes is no."""
    try:
        return input(f"{question} [y/N] ").strip().casefold() in ("y", "yes")
    except EOFError:
        return False


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def print_reconciliation(done: Reconciliation) -> None:
    """The percentage first, then each difference with its cause, then the cost."""
    console, last = _console(), done.after or done.before
    console.print()
    _differences(console, done.before)
    if done.after is not None:
        mended = len(done.before.differences) - len(done.after.differences)
        console.print(f"{mended:,} rows mended.", style="bold")
        if done.after.differences:
            _differences(console, done.after)
    console.print(_in_step(last), style="red" if last.differences else "green")
    if last.differences and done.after is None:
        console.print("hubsync reconcile --repair mends them.")
    console.print()
    _line(console, "API calls", _total(done.run.calls))
    _line(console, "seconds", _counts(done.run.seconds))
    _line(console, "run", f"{done.run.run_id} on the {done.warehouse.describe()}")


def _in_step(comparison: Comparison) -> str:
    from pipelines.reconcile import compared, in_step

    rows, differing = compared(comparison), len(comparison.differences)
    moving = sum(tally.in_flight for tally in comparison.tallies.values())
    percent = f"{in_step(comparison):.2f}".removesuffix(".00")
    text = f"{percent} % in step: {rows - differing:,} of {rows:,} rows equal HubSpot"
    if moving:
        text += f"; {moving:,} more have just changed there, the next sync reads them"
    return text + "."


def _differences(console: Console, comparison: Comparison) -> None:
    found = list(comparison.differences.values())
    table = _table("table", "row", "difference", "cause")
    for each in found[:_SHOWN_DIFFERENCES]:
        table.add_row(each.table, each.key, _difference(each), each.cause)
    if found:
        console.print(table)
    if len(found) > _SHOWN_DIFFERENCES:
        rest = Counter(each.table for each in found[_SHOWN_DIFFERENCES:])
        console.print(f"  and {_counts(rest)} more; --json lists all")


def _difference(each: Difference) -> str:
    if not each.values:
        return {"surplus": "should not be there"}.get(each.kind, each.kind)
    texts = [
        f"{value.column}: {_short(value.ours)}, should be {_short(value.expected)}"
        for value in each.values[:_SHOWN_VALUES]
    ]
    if len(each.values) > _SHOWN_VALUES:
        texts.append(f"and {len(each.values) - _SHOWN_VALUES} more values")
    return "\n".join(texts)


def _short(value: Any) -> str:
    """A value apart from its neighbours: text in quotes, no value as null."""
    if value is None:
        return "null"
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:38]}…"


def because(row: dict[str, Any]) -> str:
    """The reason code and what in HubSpot it rests on."""
    evidence = row.get("evidence") or {}
    reason = str(row["reason_code"])
    if evidence.get("undone_run_id"):
        return f"{reason} (run {evidence['undone_run_id']}: {evidence['reason']})"
    if not evidence.get("object_id"):
        return reason
    record = f"{evidence['object_type']} {evidence['object_id']}"
    if not evidence.get("property"):
        return f"{reason} ({record})"
    return f"{reason} ({evidence['property']} = {evidence['value']}, {record})"


def _action(event: dict[str, Any]) -> str:
    """What an access event means to the customer."""
    before, after = bool(event["from_enabled"]), bool(event["to_enabled"])
    if before != after:
        return "gained" if after else "LOST"
    return "other level" if after else _WITHOUT


def _customers(console: Console, rows: list[tuple[str, dict[str, Any]]]) -> None:
    table = _table("", "customer", "", "why")
    for action, row in rows[:_SHOWN]:
        levels = f"{row.get('from_level') or '-'} → {row.get('to_level') or '-'}"
        name = row.get("name") or row.get("customer_name") or row["customer_id"]
        table.add_row(action, str(name), levels, because(row))
    if rows:
        console.print(table)
    if len(rows) > _SHOWN:
        reasons = Counter(str(row["reason_code"]) for _, row in rows[_SHOWN:])
        console.print(f"  and {len(rows) - _SHOWN} more: {_counts(reasons)}")


def _notes(console: Console, done: Finished) -> None:
    """What fails nothing; policy rows that the portal lacks only when they change."""
    for note in done.notes:
        _line(console, "note", note)
    if done.new_gaps:
        count = len(done.new_gaps)
        _line(
            console,
            "policy",
            f"{count} row{'s' if count != 1 else ''} name what this portal lacks and "
            "were skipped (hubsync check lists them)",
        )


def _table(*headings: str) -> Table:
    table = Table(
        box=None, padding=(0, 2, 0, 2), collapse_padding=True, header_style="dim"
    )
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _line(console: Console, name: str, text: str) -> None:
    console.print(f"{name + ':':<17}{text}", soft_wrap=True)


def _counts(counts: dict[str, Any] | Counter[str]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in counts.items() if value)


def _total(calls: dict[str, int]) -> str:
    details = _counts(calls)
    return f"{sum(calls.values()):,}" + (f" ({details})" if details else "")


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,}"


def _latency(latency: dict[str, Any] | None) -> str:
    """From the edit in HubSpot until it was published."""
    if not latency or latency["median_seconds"] is None:
        return ""
    median, p95 = latency["median_seconds"], latency["p95_seconds"]
    return f"median {median:,.0f} s, p95 {p95:,.0f} s"


def _minutes(minutes: float) -> str:
    if minutes < 120:
        return f"{minutes:.0f} minutes"
    return (
        f"{minutes / 60:.0f} hours" if minutes < 2880 else f"{minutes / 1440:.0f} days"
    )

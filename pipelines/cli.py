"""`hubsync`: the command line. Each subcommand is one thin function.

Imports are inside the functions: `--help` must not wait for dlt and dbt.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from pipelines.errors import HubsyncError

if TYPE_CHECKING:
    from pipelines.decisions import Decision
    from pipelines.proposal import Proposal
    from pipelines.sync import Finished
    from pipelines.warehouse import Warehouse

_USUAL_GARBAGE = gc.get_threshold()

_EXAMPLES = """
examples:
  hubsync check                       is everything set up right?
  hubsync plan                        what would change, and why; publishes nothing
  hubsync sync                        load, transform, test, publish
  hubsync sync --target postgres      into the database of the PG* variables
  hubsync status --stale-after 30     exit 1 when the app's data is older than that
  hubsync why acme.com                why a customer has access, or has not
  hubsync approve PLAN --by Ann --reason "the list from sales is right"
  hubsync report                      the same as a page for the operations team
  hubsync undo RUN --by Ann --reason "an import went wrong"

exit codes:
  0   done
  1   failed, nothing published
  2   usage or configuration
  3   published, but changes are held for approval
  4   a consistency test failed, nothing published
  75  another sync is running
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code (README: exit codes)."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.run is not _portal:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    arguments.rest = rest
    stop = signal.signal(signal.SIGTERM, _interrupt)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except HubsyncError as error:
        _say(str(error))
        for note in getattr(error, "__notes__", []):
            _say(note)
        return error.exit_code
    except KeyboardInterrupt:
        _say("Stopped. Nothing is half-written; the next run goes on from here.")
        return 1
    except BrokenPipeError:  # `hubsync plan | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        _unexpected(error)
        return 1
    finally:
        signal.signal(signal.SIGTERM, stop)


def command() -> NoReturn:
    """`hubsync` as a process, which ends when its work is done: Python would spend half
    a second on freeing, piece by piece, what ends with the process anyway. Nor does it
    look for garbage after every 700 objects: what dlt and dbt load at the start are a
    million that stay."""
    import atexit

    gc.set_threshold(50_000)
    code = main()
    if transform := sys.modules.get("pipelines.transform"):
        transform.release()
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # whoever read it has gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _interrupt(*_: object) -> NoReturn:
    """A stopped service ends like Ctrl-C: cleanly, with its run recorded."""
    raise KeyboardInterrupt


def _say(message: str) -> None:
    from pipelines.log import log, wanted
    from pipelines.redaction import mask

    if wanted():  # a log of JSON has no other lines
        log("message", text=message)
        return
    print(f"hubsync: {mask(message)}", file=sys.stderr)


def _unexpected(error: Exception) -> None:
    """One sentence; the traceback goes to a file, or to stderr with HUBSYNC_DEBUG=1."""
    import tempfile
    import traceback

    from pipelines.redaction import mask

    trace = mask("".join(traceback.format_exception(error)))
    first = (str(error).strip().splitlines() or [""])[0][:300]
    sentence = (
        f"An error that hubsync does not know stopped it: {type(error).__name__}: "
        f"{first}. What was published before this run is untouched or complete; "
        "running again is safe."
    )
    if os.environ.get("HUBSYNC_DEBUG") == "1":
        print(trace, file=sys.stderr)
        _say(sentence)
        return
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="hubsync-", suffix=".log", delete=False
        ) as log:
            log.write(trace)
    except OSError:  # no room for it, and perhaps that is the error
        _say(f"{sentence} HUBSYNC_DEBUG=1 shows the details.")
        return
    _say(f"{sentence} The details are in {log.name}.")


class _Parser(argparse.ArgumentParser):
    """Usage errors in the voice of every other error."""

    def error(self, message: str) -> NoReturn:
        import difflib

        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            known = [name.strip(" '") for name in wrong.group(2).split(",")]
            near = difflib.get_close_matches(wrong.group(1), known, 1)
            said = f"{wrong.group(1)!r} is none of {', '.join(known)}"
            message = said + (f"; did you mean {near[0]}?" if near else ".")
        else:
            message = f"{message[0].upper()}{message[1:]}."
        self.print_usage(sys.stderr)
        _say(f"{message} {self.prog} --help shows examples. Nothing was done.")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hubsync",
        description="HubSpot as the single source of truth for the app's customers, "
        "contacts, subscriptions and access.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str, *examples: str) -> Any:
        added = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog="\n  ".join(["examples:", *examples]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    def target(added: Any) -> None:
        added.add_argument(
            "--target",
            choices=("duckdb", "postgres"),
            help="the database to use (default: HUBSYNC_TARGET, else duckdb)",
        )

    def as_json(added: Any) -> None:
        added.add_argument(
            "--json", action="store_true", help="print the result as JSON, only that"
        )

    def full(added: Any) -> None:
        added.add_argument(
            "--full", action="store_true", help="read every record, not what changed"
        )

    sync = command(
        "sync",
        _sync,
        "load HubSpot, transform, test, and publish to app",
        "hubsync sync --target postgres",
    )
    resident = command(
        "run",
        _run,
        "sync again and again in one process, for seconds instead of minutes",
        "hubsync run --every 60s",
        "hubsync run --every 5m --json    a line of JSON per run",
    )
    resident.add_argument(
        "--every", default="60s", metavar="TIME", help="30s, 5m or 1h (default: 60s)"
    )
    plan = command(
        "plan",
        _plan,
        "everything but publishing: what sync would change in access, and why",
        "hubsync plan --json",
    )
    status = command(
        "status",
        _status,
        "freshness, last runs and findings; exit 1 when stale",
        "hubsync status --stale-after 30",
    )
    check = command(
        "check",
        _check,
        "the configuration and the policy against the real portal and database",
        "hubsync check                    what is missing, and a policy proposal",
        "hubsync check --write-policy     … written to dbt_project/seeds",
    )
    check.add_argument(
        "--write-policy",
        action="store_true",
        help="append the proposed rows to dbt_project/seeds; on a terminal it asks",
    )
    check.add_argument(
        "--yes", action="store_true", help="with --write-policy: do not ask"
    )
    reconcile = command(
        "reconcile",
        _reconcile,
        "compare HubSpot itself with raw and app, row by row; exit 1 when they differ",
        "hubsync reconcile --repair",
    )
    reconcile.add_argument(
        "--repair", action="store_true", help="mend what differs and compare again"
    )
    approve = command(
        "approve",
        _approve,
        "release the changes that wait, and publish them at once",
        'hubsync approve 5f2c… --by Ann --reason "the list from sales is right"',
    )
    reject = command(
        "reject",
        _reject,
        "refuse the changes that wait; they are ignored until their evidence changes",
        'hubsync reject 5f2c… --by Ann --reason "an import went wrong"',
    )
    for each in (approve, reject):
        each.add_argument("plan_id", metavar="PLAN", help="the id that sync printed")
    undo = command(
        "undo",
        _undo,
        "put access back to where it was before a run",
        'hubsync undo 20260615T140301Z-5f2c --by Ann --reason "a wrong import"',
    )
    undo.add_argument("run_id", metavar="RUN", help="the id that sync printed")
    for each in (approve, reject, undo):
        each.add_argument("--by", required=True, metavar="NAME", help="who decides")
        each.add_argument("--reason", required=True, metavar="TEXT", help="and why")
    why = command(
        "why",
        _why,
        "why a customer has access or has not: evidence and timeline",
        "hubsync why acme.com",
    )
    why.add_argument("customer", metavar="CUSTOMER", help="id, domain or name")
    plan.add_argument(
        "--csv", action="store_true", help="print the changes as CSV, only that"
    )
    for each in (
        *(sync, resident, plan, status, check, reconcile),
        *(approve, reject, undo, why),
    ):
        target(each)
        as_json(each)
    for each in (sync, plan):
        full(each)
    status.add_argument(
        "--stale-after",
        type=float,
        metavar="MINUTES",
        help="default: HUBSYNC_STALE_MINUTES, else 60",
    )
    status.add_argument(
        "--metrics",
        metavar="PATH",
        help="write the OpenMetrics file too, as every sync does to HUBSYNC_METRICS",
    )
    completion = command(
        "completion",
        _completion,
        "print the completion script of a shell",
        'eval "$(hubsync completion bash)"       in ~/.bashrc',
        'hubsync completion zsh > "${fpath[1]}/_hubsync"',
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    report = command(
        "report",
        _report,
        "write the page for the operations team, one HTML file; every sync does too",
        "hubsync report --output /srv/www/hubsync.html",
    )
    target(report)
    as_json(report)
    report.add_argument(
        "--output",
        metavar="PATH",
        help="default: HUBSYNC_REPORT, else hubsync-report.html beside the DuckDB file "
        "or in the working folder",
    )
    portal = commands.add_parser(
        "portal",
        help="a local HubSpot with example data, for development",
        add_help=False,  # its options are the sandbox's own
    )
    portal.set_defaults(run=_portal)
    return parser


def _sync(arguments: argparse.Namespace) -> int:
    from pipelines.redaction import mask_logs
    from pipelines.sync import events, execute, open_findings

    mask_logs()
    done = execute(
        "sync", target=arguments.target, full=arguments.full, quiet=arguments.json
    )
    changed = events(done.warehouse, done.run.run_id)
    findings = open_findings(done.warehouse)
    if arguments.json:
        _print_json(_sync_as_json(done, changed, findings))
        return done.run.exit_code
    from pipelines import terminal

    terminal.print_sync(done, changed, findings)
    return done.run.exit_code


def _sync_as_json(
    done: Finished, changed: list[dict[str, Any]], findings: dict[str, int]
) -> dict[str, Any]:
    return {
        **_run_as_json(done),
        "changes": changed,
        "waiting": done.waiting,
        "findings": findings,
    }


def _run(arguments: argparse.Namespace) -> int:
    from pipelines import resident, terminal
    from pipelines.redaction import mask, mask_logs
    from pipelines.sync import Finished, events, open_findings

    mask_logs()

    def told(outcome: Finished | Exception) -> None:
        if not isinstance(outcome, Finished):
            code, error = getattr(outcome, "exit_code", 1), mask(str(outcome)).strip()
            if arguments.json:
                _print_json({"exit_code": code, "error": error}, indent=None)
            else:
                terminal.print_failed_round(code, error)
            return
        changed = events(outcome.warehouse, outcome.run.run_id)
        if arguments.json:
            findings = open_findings(outcome.warehouse)
            _print_json(_sync_as_json(outcome, changed, findings), indent=None)
        else:
            terminal.print_round(outcome, changed)

    every = resident.parse_interval(arguments.every)
    gc.set_threshold(*_USUAL_GARBAGE)  # a process that stays must not grow
    resident.run(every, target=arguments.target, told=told)
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from pipelines.plan import read_plan
    from pipelines.redaction import mask_logs
    from pipelines.sync import execute

    mask_logs()
    done = execute(
        "plan",
        target=arguments.target,
        full=arguments.full,
        quiet=arguments.json or arguments.csv,
    )
    plan = read_plan(done.warehouse)
    if arguments.json:
        _print_json(plan)
        return 0
    if arguments.csv:
        _print_csv(plan)
        return 0
    from pipelines import terminal

    terminal.print_plan(done, plan)
    return 0


def _approve(arguments: argparse.Namespace) -> int:
    from pipelines import decisions, terminal
    from pipelines.warehouse import Warehouse

    warehouse = Warehouse.from_environment(arguments.target)
    approval = decisions.decide(
        warehouse,
        arguments.plan_id,
        "approved",
        by=arguments.by,
        reason=arguments.reason,
    )
    if approval.earlier:
        _print_decision(arguments, approval)
        return 0
    if not arguments.json:
        terminal.print_decision(approval)
    try:
        arguments.full = False
        code = _sync(arguments)
    except HubsyncError:
        _say(
            "The approval is kept: a sync within 24 hours uses it, if the same set "
            "still waits."
        )
        raise
    joined = decisions.settle(warehouse, approval)
    if joined:
        _say(
            f"The approval is void, nothing of the set was released: it has grown. "
            f"{decisions.grown(joined)} hubsync plan shows what waits now."
        )
    return code


def _reject(arguments: argparse.Namespace) -> int:
    from pipelines import decisions
    from pipelines.warehouse import Warehouse

    warehouse = Warehouse.from_environment(arguments.target)
    rejection = decisions.decide(
        warehouse,
        arguments.plan_id,
        "rejected",
        by=arguments.by,
        reason=arguments.reason,
    )
    _print_decision(arguments, rejection)
    _write_report(warehouse)
    return 0


def _write_report(warehouse: Warehouse) -> None:
    """The page shows what was just decided, and not only after the next sync."""
    from pipelines.report import write_after

    notes: list[str] = []
    write_after(warehouse, notes)
    for note in notes:
        _say(note)


def _print_decision(arguments: argparse.Namespace, decision: Decision) -> None:
    from dataclasses import asdict

    from pipelines import terminal

    if arguments.json:
        _print_json(asdict(decision))
    else:
        terminal.print_decision(decision)


def _undo(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from pipelines import terminal
    from pipelines.undo import undo
    from pipelines.warehouse import Warehouse

    warehouse = Warehouse.from_environment(arguments.target)
    done = undo(
        warehouse,
        arguments.run_id,
        by=arguments.by,
        reason=arguments.reason,
    )
    if arguments.json:
        _print_json(asdict(done))
    else:
        terminal.print_undo(done)
    _write_report(warehouse)
    return 0


def _why(arguments: argparse.Namespace) -> int:
    from pipelines.warehouse import Warehouse
    from pipelines.why import explain

    answer = explain(Warehouse.from_environment(arguments.target), arguments.customer)
    if arguments.json:
        _print_json(answer)
        return 0
    from pipelines import terminal

    terminal.print_why(answer)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pipelines.status import freshness, read_status, stale_minutes
    from pipelines.warehouse import Warehouse

    limit = stale_minutes(arguments.stale_after)
    warehouse = Warehouse.from_environment(arguments.target)
    status = read_status(warehouse, limit)
    if arguments.metrics:
        from pathlib import Path

        from pipelines import metrics

        metrics.write(warehouse, Path(arguments.metrics))
    if arguments.json:
        _print_json(status)
    else:
        from pipelines import terminal

        terminal.print_status(status)
    if not status["fresh"]:
        from pipelines.alerts import tell_stale

        for note in tell_stale(warehouse, freshness(status)):
            _say(note)
    return 0 if status["fresh"] else 1


def _check(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from pipelines import terminal
    from pipelines.check import Answer, check
    from pipelines.redaction import mask_logs

    mask_logs()
    answers, proposal = [], None
    for answer in check(arguments.target):
        if not isinstance(answer, Answer):
            proposal = answer
            continue
        answers.append(answer)
        if not arguments.json:
            terminal.print_answer(answer)
    code = max(answer.exit_code for answer in answers)
    if proposal is not None and not arguments.json:
        terminal.print_proposal(proposal)
    written = _write_policy(arguments, proposal) if arguments.write_policy else []
    if arguments.json:
        _print_json(
            {
                "ok": code == 0,
                "answers": [asdict(each) for each in answers],
                "proposal": asdict(proposal) if proposal else None,
                "written": written,
            }
        )
    elif proposal is not None and proposal.rows and not written:
        terminal.print_how_to_write()
    return code


def _write_policy(
    arguments: argparse.Namespace, proposal: Proposal | None
) -> list[str]:
    """Append the proposed rows; the names of the files that changed."""
    from pipelines import policy, terminal

    if proposal is None:
        _say("The portal could not be read, so no policy was proposed or written.")
        return []
    changes = policy.additions((row.seed, row.values) for row in proposal.rows)
    if not arguments.json:
        terminal.print_changes(changes)
    asks = not (arguments.yes or arguments.json) and sys.stdin.isatty()
    if changes and asks and not terminal.agreed("Write these rows?"):
        return []
    policy.write(changes)
    if changes and not arguments.json:
        terminal.print_written(changes)
    return [change.file for change in changes]


def _reconcile(arguments: argparse.Namespace) -> int:
    from pipelines.reconcile import OutOfStep, as_json, reconcile
    from pipelines.redaction import mask_logs

    mask_logs()
    code = 0
    try:
        done = reconcile(
            target=arguments.target, repair=arguments.repair, quiet=arguments.json
        )
    except OutOfStep as found:
        done, code = found.found, found.exit_code
    _write_report(done.warehouse)
    if arguments.json:
        after = as_json(done.after) if done.after else None
        run = {"run_id": done.run.run_id, "api_calls": sum(done.run.calls.values())}
        _print_json({**run, **as_json(done.before), "after_repair": after})
        return code
    from pipelines import terminal

    terminal.print_reconciliation(done)
    return code


def _report(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict
    from pathlib import Path

    from pipelines import report, terminal
    from pipelines.warehouse import Warehouse

    warehouse = Warehouse.from_environment(arguments.target)
    given = Path(arguments.output) if arguments.output else None
    path = given or report.report_path(warehouse) or report.default_path(warehouse)
    written = report.write(warehouse, path)
    if arguments.json:
        _print_json(asdict(written))
    else:
        terminal.print_report(written)
    return 0


def _portal(arguments: argparse.Namespace) -> int:
    from sandbox.__main__ import main as serve_portal

    return serve_portal(arguments.rest) or 0


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(_parser(), arguments.shell))
    return 0


def _run_as_json(done: Finished) -> dict[str, Any]:
    run = done.run
    return {
        "run_id": run.run_id,
        "api_calls": sum(run.calls.values()),
        "calls": run.calls,
        "rows_read": run.rows_read,
        "rows_changed": run.rows_changed,
        "app_rows_changed": run.app_rows_changed,
        "held": run.held,
        "seconds": run.seconds,
        "policy_gaps": run.policy_gaps,
        "notes": done.notes,
        "report": done.report,
    }


def _print_json(value: Any, indent: int | None = 2) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=_plain)
    print(text, flush=True)


def _print_csv(plan: dict[str, Any]) -> None:
    """One line per change; the evidence is JSON in its field."""
    import csv

    rows = [
        {
            "plan_id": plan["plan_id"],
            **{name: value for name, value in change.items() if name != "evidence"},
            "evidence": json.dumps(change["evidence"], ensure_ascii=False),
        }
        for change in plan["changes"]
    ]
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


if __name__ == "__main__":
    command()

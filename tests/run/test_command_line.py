"""`hubsync` before any run: help, usage, errors, and what the README promises."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import cli, sync
from pipelines.errors import HubsyncError
from tests.run.conftest import Hubsync

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("sync", "run", "plan", "status", "check", "report")
EVERY_COMMAND = [
    name
    for action in cli._parser()._actions
    if isinstance(action, argparse._SubParsersAction)
    for name in action.choices
]
TOKEN = "pat-na1-this-is-a-secret-token"


def test_help_lists_every_command_and_every_exit_code(hubsync: Hubsync) -> None:
    outcome = hubsync("--help")
    assert outcome.code == 0
    for command in (*COMMANDS, "portal"):
        assert f"\n    {command} " in outcome.out
    for code in ("0", "1", "2", "3", "4", "75"):
        assert re.search(rf"\n  {code} +\w", outcome.out)


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_every_command_has_help_with_examples(hubsync: Hubsync, command: str) -> None:
    outcome = hubsync(command, "--help")
    assert outcome.code == 0
    _, _, examples = outcome.out.partition("\nexamples:\n")
    assert f"hubsync {command}" in examples
    # What prints a result prints it as JSON too.
    if command not in ("portal", "completion"):
        assert "--json" in outcome.out


def test_help_waits_for_no_library() -> None:
    script = (
        "import sys\n"
        "from pipelines.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('dlt', 'dbt', 'duckdb', 'rich', 'shtab')\n"
        "print([module for module in heavy if module in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [[], ["sink"], ["sync", "--tarjet", "duckdb"], ["sync", "--target", "oracle"]],
)
def test_wrong_usage_ends_with_2(hubsync: Hubsync, arguments: list[str]) -> None:
    outcome = hubsync(*arguments)
    assert outcome.code == 2
    assert "usage: hubsync" in outcome.err


def test_a_slip_of_the_pen_is_answered_with_the_nearest_command(
    hubsync: Hubsync,
) -> None:
    outcome = hubsync("plam")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("hubsync: 'plam' is none of sync, ")
    assert "did you mean plan? hubsync --help shows examples." in outcome.err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["pla"], {"plan"}),
        (["check", "--wr"], {"--write-policy"}),
        (["sync", "--target", ""], {"duckdb", "postgres"}),
    ],
)
def test_bash_completes_commands_options_and_values(
    hubsync: Hubsync, tmp_path: Path, typed: list[str], offered: set[str]
) -> None:
    script = tmp_path / "hubsync.bash"
    script.write_text(hubsync("completion", "bash").out, encoding="utf-8")
    words = " ".join(f"'{word}'" for word in ("hubsync", *typed))
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"source {script} && COMP_WORDS=({words}) COMP_CWORD={len(typed)} && "
            '_shtab_hubsync && printf "%s\\n" "${COMPREPLY[@]}"',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_every_command_too(hubsync: Hubsync, shell: str) -> None:
    outcome = hubsync("completion", shell)
    assert outcome.code == 0
    assert all(command in outcome.out for command in EVERY_COMMAND)


@pytest.fixture
def broken_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that meets an error nobody foresaw, with the token in its text."""

    def execute(*_: object, **__: object) -> None:
        raise RuntimeError(f"bad header: Bearer {TOKEN}")

    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", TOKEN)
    monkeypatch.setattr(sync, "execute", execute)


@pytest.mark.usefixtures("broken_sync")
def test_an_unknown_error_is_one_sentence_and_a_file_without_the_token(
    hubsync: Hubsync,
) -> None:
    outcome = hubsync("sync")
    assert outcome.code == 1
    assert outcome.err.startswith("hubsync: ")
    assert len(outcome.err.splitlines()) == 1
    assert "Traceback" not in outcome.err
    (name,) = re.findall(r"details are in (\S+\.log)\.", outcome.err)
    log = Path(name).read_text(encoding="utf-8")
    Path(name).unlink()
    assert "Traceback" in log
    assert TOKEN not in outcome.err + log


@pytest.mark.usefixtures("broken_sync")
def test_debug_shows_the_traceback_without_the_token(
    hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSYNC_DEBUG", "1")
    outcome = hubsync("sync")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert TOKEN not in outcome.err


def test_ctrl_c_is_a_sentence_and_1(
    hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sync, "execute", execute)
    outcome = hubsync("sync")
    assert outcome.code == 1
    assert outcome.err.startswith("hubsync: Stopped.")


def test_a_known_error_keeps_stdout_empty_in_json_mode(
    hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(*_: object, **__: object) -> None:
        raise HubsyncError("HubSpot is away.")

    monkeypatch.setattr(sync, "execute", execute)
    outcome = hubsync("plan", "--json")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "hubsync: HubSpot is away.\n"


def test_json_values_are_plain() -> None:
    from datetime import UTC, datetime
    from decimal import Decimal

    moment = datetime(2026, 1, 2, tzinfo=UTC)
    text = json.dumps([moment, Decimal("1.50")], default=cli._plain)
    assert text == '["2026-01-02T00:00:00+00:00", "1.50"]'


def test_every_make_command_of_the_readme_exists() -> None:
    targets = set(re.findall(r"`make ([a-z-]+)", README))
    targets |= set(re.findall(r"(?m)^\$? ?make ([a-z-]+)", README))
    assert {"demo", "test"} <= targets
    for target in sorted(targets):
        done = subprocess.run(
            ["make", "-n", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_make_alone_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    done = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for target in re.findall(r"(?m)^\.PHONY: (\S+)", makefile):
        assert f"make {target} " in done.stdout


def test_every_command_and_exit_code_is_in_the_readme() -> None:
    for command in (*COMMANDS, "portal"):
        assert f"hubsync {command}" in README
    for code in ("0", "1", "2", "3", "4", "75"):
        assert f"| {code} |" in README


def test_ci_calls_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "\nmake test\n" in script

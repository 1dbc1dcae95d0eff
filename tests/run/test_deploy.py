"""The files of deploy/: each is read by its own tool, and its command is run."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from croniter import croniter

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from tests.run.conftest import ON_DUCKDB, Hubsync, query

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("hubsync*"))
HOME = "/srv/hubsync"  # where the files say that hubsync lives

# A hubsync that does nothing but end as it is told, and say so.
STUB = '#!/bin/sh\necho "stub $*" "$SOURCES__HUBSPOT__ACCESS_TOKEN"\nexit $STUB_CODE\n'

Run = Callable[[], "subprocess.CompletedProcess[str]"]


def unit(path: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(
        strict=True, interpolation=None, delimiters=("=",), comment_prefixes=("#",)
    )
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text())
    return parsed


def cron_lines() -> list[tuple[str, str]]:
    """Schedule and command of every entry of deploy/crontab."""
    found = []
    for line in (DEPLOY / "crontab").read_text().splitlines():
        if line.strip() and not line.startswith("#") and not re.match(r"\w+=", line):
            *fields, command = line.split(None, 5)
            found.append((" ".join(fields), command))
    return found


def manifest() -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())


def workflow() -> Any:
    return yaml.safe_load((DEPLOY / "github-actions.yml").read_text())


def container() -> Any:
    pod = manifest()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (found,) = pod["containers"]
    return found


# What each file's own tool says of it.


def test_cron_understands_every_line_of_the_crontab() -> None:
    lines = cron_lines()
    assert [command.split()[1] for _, command in lines] == ["sync", "status"]
    for schedule, command in lines:
        assert croniter.is_valid(schedule)
        assert "%" not in command  # cron's newline


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The units for this checkout: systemd looks whether what they start exists."""
    folder = tmp_path_factory.mktemp("systemd")
    for path in UNITS:
        text = path.read_text().replace(HOME, str(ROOT))
        text = text.replace(f"{ROOT}/.venv/bin", str(Path(sys.executable).parent))
        (folder / path.name).write_text(text)
    return sorted(folder.iterdir())


def verify(units: list[Path]) -> str:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + done.stdout if done.returncode or done.stderr else ""


NO_SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd"
)


@NO_SYSTEMD
def test_systemd_finds_nothing_wrong_with_the_units(units: list[Path]) -> None:
    assert verify(units) == ""


@NO_SYSTEMD
def test_systemd_would_say_what_is_wrong(units: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "hubsync.service"
    broken.write_text(
        next(u for u in units if u.name == broken.name)
        .read_text()
        .replace("SuccessExitStatus", "SucessExitStatus")
    )
    assert "SucessExitStatus" in verify([broken])


def test_every_timer_has_its_service() -> None:
    names = {path.name for path in UNITS}
    for path in UNITS:
        if path.suffix == ".timer":
            assert path.with_suffix(".service").name in names
            assert "OnCalendar" in unit(path)["Timer"]


def test_the_units_of_many_portals_are_those_of_one_but_for_its_settings() -> None:
    for kind in ("service", "timer"):
        one = unit(DEPLOY / "systemd" / f"hubsync.{kind}")
        each = unit(DEPLOY / "systemd" / f"hubsync@.{kind}")
        assert "%i" in each["Unit"].pop("Description")
        one["Unit"].pop("Description")
        if kind == "service":
            assert one["Service"].pop("EnvironmentFile") == "/etc/hubsync/environment"
            settings = each["Service"].pop("EnvironmentFile")
            assert settings == "/etc/hubsync/portals/%i.env"
            parsed = each["Service"].pop("Environment")
            assert parsed == f"DBT_TARGET_PATH={HOME}/target/portals/%i"
        assert {k: dict(v) for k, v in each.items()} == {
            k: dict(v) for k, v in one.items()
        }


def test_kubernetes_accepts_the_manifest() -> None:
    document = manifest()
    kubernetes_validate.validate(document, "1.37", strict=True)
    document["spec"]["concurencyPolicy"] = document["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_github_accepts_the_workflow() -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "check-jsonschema"),
            *("--builtin-schema", "vendor.github-workflows"),
            str(DEPLOY / "github-actions.yml"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (schedule,) = workflow()[True]["schedule"]  # YAML reads `on` as true
    assert croniter.is_valid(schedule["cron"])


def test_none_starts_a_second_run_beside_the_first() -> None:
    assert manifest()["spec"]["concurrencyPolicy"] == "Forbid"
    assert workflow()["concurrency"]["cancel-in-progress"] is False
    assert unit(DEPLOY / "systemd/hubsync.service")["Service"]["Type"] == "oneshot"


def test_no_file_holds_a_secret() -> None:
    job = workflow()["jobs"]["sync"]["steps"][-1]["env"]
    for name in ("SOURCES__HUBSPOT__ACCESS_TOKEN", "PGPASSWORD"):
        assert job[name].startswith("${{ secrets.")
    assert container()["envFrom"] == [{"secretRef": {"name": "hubsync"}}]
    service = unit(DEPLOY / "systemd/hubsync.service")["Service"]
    assert service["EnvironmentFile"] == "/etc/hubsync/environment"


# What each command makes of hubsync's exit codes.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`/srv/hubsync`, as the files call it, of a stub."""
    folder = tmp_path / "srv"
    (folder / ".venv" / "bin").mkdir(parents=True)
    stub = folder / ".venv" / "bin" / "hubsync"
    stub.write_text(STUB)
    stub.chmod(0o755)
    (folder / "deploy").mkdir()
    shutil.copy(DEPLOY / "cron-job", folder / "deploy")
    return folder


def commands(home: Path, tmp_path: Path) -> dict[str, Run]:
    """What each scheduler would run in `home`, by file."""
    settings = tmp_path / "environment"
    if not settings.exists():
        settings.write_text("SOURCES__HUBSPOT__ACCESS_TOKEN=from-the-file\n")
    environment = {
        **os.environ,
        "HUBSYNC_ENVIRONMENT": str(settings),
        "HUBSYNC_CRON_LOG": str(tmp_path / "hubsync.log"),
        "TERMINATION_LOG": str(tmp_path / "termination"),
    }

    def shell(script: str) -> Run:
        return lambda: subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def bash(script: str) -> Run:  # as GitHub does
        return lambda: subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    service = unit(DEPLOY / "systemd/hubsync.service")["Service"]
    return {
        "cron": shell(cron_lines()[0][1].replace(HOME, str(home))),
        "systemd": shell(f"exec {service['ExecStart'].replace(HOME, str(home))}"),
        "kubernetes": shell(container()["command"][2]),
        "github": bash(workflow()["jobs"]["sync"]["steps"][-1]["run"]),
    }


def is_failure(file: str, code: int) -> bool:
    """Whether a scheduler takes that exit code for a failure."""
    if file == "systemd":
        service = unit(DEPLOY / "systemd/hubsync.service")["Service"]
        return code not in {0, *map(int, service["SuccessExitStatus"].split())}
    return code != 0


@pytest.mark.parametrize("file", ["cron", "systemd", "kubernetes", "github"])
def test_held_changes_and_a_second_run_are_no_failures_and_all_else_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    failed = {}
    for code in (0, 1, 2, 3, 4, 75):
        monkeypatch.setenv("STUB_CODE", str(code))
        done = commands(home, tmp_path)[file]()
        failed[code] = is_failure(file, done.returncode)
        if code == 3 and file != "systemd":
            assert "Changes of access wait for a person" in done.stdout
    assert failed == {0: False, 1: True, 2: True, 3: False, 4: True, 75: False}


def test_systemd_warns_of_held_changes_and_of_nothing_else() -> None:
    service = unit(DEPLOY / "systemd/hubsync.service")["Service"]
    script = service["ExecStopPost"].removeprefix("/bin/sh -c ").strip("'")
    for code, said in (("3", "<4>Changes of access wait"), ("0", ""), ("1", "")):
        done = subprocess.run(
            ["/bin/sh", "-c", script.replace("$$", "$")],
            env={"EXIT_STATUS": code},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(said)
        assert bool(done.stdout) is bool(said)


def test_cron_mails_what_is_news_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = []
    for code in (0, 0, 3, 3, 75, 3, 1, 1, 0, 0):
        monkeypatch.setenv("STUB_CODE", str(code))
        mails.append(commands(home, tmp_path)["cron"]().stdout.split("\n")[0])
    assert mails == [
        "",
        "",
        "Changes of access wait for a person:",
        "",
        "",
        "",
        "hubsync sync: exit 1 (before: 3)",
        "",
        "Over:",
        "",
    ]
    log = (tmp_path / "hubsync.log").read_text()
    assert log.count("stub sync from-the-file") == 10


# And with the real hubsync, against a portal.


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This repository under the name of a server's folder, with this environment."""
    folder = tmp_path / "srv"
    folder.mkdir()
    for name in ("pipelines", "dbt_project", "deploy", ".dlt", "profiles.yml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    return folder


@ON_DUCKDB
def test_each_file_runs_the_real_hubsync(
    warehouse: Warehouse, server: Server, checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "environment").write_text("HUBSYNC_TARGET=duckdb\n")
    runs = commands(checkout, tmp_path)
    # A whole sync once, it takes its time; the others find one running.
    done = runs.pop("kubernetes")()
    assert done.returncode == 0, done.stdout + done.stderr
    assert query(warehouse, "select status from ops.sync_runs") == [("done",)]
    with warehouse.lock():
        for file, run in runs.items():
            done = run()
            assert not is_failure(file, done.returncode), file
            said = done.stdout + done.stderr + (tmp_path / "hubsync.log").read_text()
            assert "Another sync is running" in said, file
            (tmp_path / "hubsync.log").write_text("")


@ON_DUCKDB
def test_portals_side_by_side_do_not_share_a_database_or_a_failure(
    warehouse: Warehouse, server: Server, checkout: Path, tmp_path: Path
) -> None:
    """The folder of docs/operating.md: a file per portal, cron-job for each of them."""
    running = {}
    for name, token in {"good": "", "bad": "pat-na1-refused-by-hubspot"}.items():
        file = tmp_path / f"{name}.env"
        file.write_text(
            f"HUBSYNC_TARGET=duckdb\nHUBSYNC_DUCKDB={tmp_path / name}.duckdb\n"
            f"DBT_TARGET_PATH={tmp_path / name}\n"
            + (f"SOURCES__HUBSPOT__ACCESS_TOKEN={token}\n" if token else "")
        )
        running[name] = subprocess.Popen(
            [str(checkout / "deploy" / "cron-job"), "sync"],
            env={
                **os.environ,
                "HUBSYNC_ENVIRONMENT": str(file),
                "HUBSYNC_CRON_LOG": str(tmp_path / f"{name}.log"),
            },
            stdout=subprocess.DEVNULL,
        )
    assert {name: each.wait() for name, each in running.items()} == {
        "good": 0,
        "bad": 2,
    }
    for name, status in {"good": "done", "bad": "misconfigured"}.items():
        own = Warehouse("duckdb", path=tmp_path / f"{name}.duckdb")
        assert query(own, "select status from ops.sync_runs") == [(status,)]
    assert (tmp_path / "good" / "duckdb" / "partial_parse.msgpack").exists()


def test_a_second_portal_in_the_database_of_the_first_is_refused_before_it_is_read(
    synced: Warehouse, portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    def raw() -> list[tuple[object, ...]]:
        return query(synced, "select * from hubspot_raw.companies order by id")

    before, first = raw(), portal.portal_id
    portal.portal_id = first + 1
    portal.create("companies", {"name": "Of another portal"})
    outcome = hubsync("sync")
    assert outcome.code == 2
    assert f"this database has the records of portal {first}" in outcome.err
    assert raw() == before
    assert query(synced, "select portal_id from hubspot_raw.portal") == [(str(first),)]

"""`hubsync check --write-policy`: a policy read from portals that are not ours."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import policy, terminal
from pipelines import proposal as proposal_module
from pipelines.warehouse import Warehouse
from sandbox import Portal, Server, serve
from tests.run.conftest import Hubsync, query

ROOT = Path(__file__).resolve().parents[2]
TODAY = datetime.now(UTC).date()

Json = dict[str, Any]


def day(ahead: int) -> str:
    return (TODAY + timedelta(days=ahead)).isoformat()


def stage(stage_id: str, label: str, probability: float) -> Json:
    closed = "true" if probability in (0, 1) else "false"
    return {
        "id": stage_id,
        "label": label,
        "metadata": {"isClosed": closed, "probability": str(probability)},
    }


def pipeline(portal: Portal, pipeline_id: str, label: str, *stages: Json) -> None:
    changes = {"label": label, "stages": list(stages)}
    portal.update_pipeline("deals", pipeline_id, changes)


def status_property(name: str, label: str, **options: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "enumeration",
        "fieldType": "select",
        "options": [
            {"label": text, "value": value, "displayOrder": 0, "hidden": False}
            for value, text in options.items()
        ],
    }


def date_property(name: str, label: str) -> Json:
    return {"name": name, "label": label, "type": "date", "fieldType": "date"}


@dataclass
class German:
    """A portal with nothing of the shipped policy; `expected` is what is right:
    customer name to (is_enabled, reason_code)."""

    portal: Portal = field(default_factory=lambda: Portal(seed=7))
    expected: dict[str, tuple[bool, str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        portal = self.portal
        portal.remove_pipeline("deals", "default")
        pipeline(
            portal,
            "48213",
            "Neugeschäft",
            stage("770001", "Angebot", 0.4),
            stage("770002", "Gewonnen", 1.0),
            stage("770003", "Verloren", 0.0),
        )
        pipeline(
            portal,
            "48214",
            "Vertragsverlängerungen",
            stage("770011", "Fällig", 0.5),
            stage("770012", "Verlängert", 1.0),
            stage("770013", "Nicht verlängert", 0.0),
            stage("770014", "Dublette", 0.0),
        )
        pipeline(
            portal,
            "48215",
            "Erneuerbare Energien",
            stage("770022", "Abschluss", 1.0),
            stage("770023", "Kein Abschluss", 0.0),
        )
        pipeline(portal, "48216", "Bewerbungen", stage("770032", "Eingestellt", 1.0))
        portal.add_property(
            "companies",
            status_property(
                "kundenstatus",
                "Kundenstatus",
                aktiv="Aktiver Kunde",
                gekuendigt="Gekündigt",
                pausiert="Pausiert",
                gefaehrdet="Gefährdet",
                klaerung="In Klärung",
            ),
        )
        portal.add_property(
            "companies", date_property("kuendigung_zum", "Kündigung zum")
        )
        for given in (
            date_property("vertragsbeginn", "Vertragsbeginn"),
            date_property("vertragsende", "Vertragsende"),
        ):
            portal.add_property("deals", given)
        portal.create("products", {"name": "Team Jahresabo", "hs_sku": "T-12"})
        portal.create("products", {"name": "Beratungstag", "hs_sku": "BT"})
        in_force = "SUBSCRIPTION_ACTIVE"
        self.company("Aktiv GmbH", True, in_force)
        self.company(
            "Gekündigt GmbH", False, "STATUS_CHURNED", kundenstatus="gekuendigt"
        )
        self.company("Pausiert GmbH", False, "PAUSED", kundenstatus="pausiert")
        self.company(
            "Zum Monatsende GmbH",
            True,
            in_force,
            kundenstatus="gekuendigt",
            kuendigung_zum=day(20),
        )
        self.company("In Klärung GmbH", True, in_force, kundenstatus="klaerung")
        self.company("Gefährdet GmbH", True, in_force, kundenstatus="gefaehrdet")
        self.company(
            "Ausgelaufen GmbH", False, "SUBSCRIPTION_ENDED", vertragsende=day(-90)
        )
        self.company("Nicht verlängert GmbH", False, "RENEWAL_LOST")
        self.deal("Nicht verlängert GmbH", "48214", "770013", closed=-1)
        self.company("Doppelt GmbH", True, in_force)
        self.deal("Doppelt GmbH", "48214", "770014", closed=-1)
        self.company("Windpark GmbH", True, in_force, deal=("48215", "770022"))
        self.deal("Windpark GmbH", "48215", "770023", closed=-1)
        self.company("Verlängert GmbH", True, in_force, deal=("48214", "770012"))
        self.ids["Bewerberin"] = portal.create("companies", {"name": "Bewerberin"})
        self.deal("Bewerberin", "48216", "770032", closed=-3)

    def company(
        self,
        name: str,
        enabled: bool,
        reason: str,
        *,
        deal: tuple[str, str] = ("48213", "770002"),
        vertragsende: str | None = None,
        **values: str,
    ) -> None:
        """A company with a won deal."""
        self.ids[name] = self.portal.create("companies", {"name": name, **values})
        self.deal(name, *deal, closed=-200, ends=vertragsende or day(165))
        self.expected[name] = (enabled, reason)

    def deal(
        self,
        name: str,
        pipeline_id: str,
        stage_id: str,
        *,
        closed: int,
        ends: str | None = None,
    ) -> None:
        values = {
            "dealname": f"{name} {stage_id}",
            "pipeline": pipeline_id,
            "dealstage": stage_id,
            "closedate": f"{day(closed)}T08:00:00Z",
        }
        if ends:
            values |= {"vertragsbeginn": day(closed), "vertragsende": ends}
        deal = self.portal.create("deals", values)
        self.portal.associate("deals", deal, "companies", self.ids[name])
        if ends:
            item = self.portal.create(
                "line_items", {"name": "Team Jahresabo", "hs_sku": "T-12"}
            )
            self.portal.associate("deals", deal, "line_items", item)


@dataclass
class Installation:
    """A checkout of its own with a database, used through the command line alone."""

    folder: Path
    warehouse: Warehouse
    environment: dict[str, str]

    @property
    def seeds(self) -> Path:
        return self.folder / "dbt_project" / "seeds"

    def hubsync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.seeds.glob("*")}


def copy_project(folder: Path) -> Path:
    for name in ("pipelines", "dbt_project", ".dlt"):
        ignored = shutil.ignore_patterns("__pycache__", "target", "secrets.toml")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "profiles.yml", folder)
    return folder


@pytest.fixture
def installation(duckdb_file: Path, tmp_path: Path) -> Installation:
    """On one engine: what is proposed are files. What rows of the policy mean to the
    SQL is tested on both, in tests/transform."""
    return Installation(
        copy_project(tmp_path / "hubsync"),
        Warehouse.from_environment("duckdb"),
        {**os.environ, "SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS": "5000"},
    )


def test_the_proposed_policy_makes_the_next_sync_right_without_an_edit(
    installation: Installation,
) -> None:
    german = German()
    before = installation.files()
    with serve(german.portal, port=0) as server:
        installation.environment |= {
            "SOURCES__HUBSPOT__BASE_URL": server.url,
            "SOURCES__HUBSPOT__ACCESS_TOKEN": german.portal.token,
        }
        checked = installation.hubsync("check", "--write-policy")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        after = installation.files()
        assert {name for name in after if after[name] != before[name]} == {
            "churn_signals.csv",
            "deal_pipelines.csv",
            "deal_stages.csv",
            "plans.csv",
            "policy_dates.csv",
        }
        for name, content in before.items():
            assert after[name].startswith(content), f"{name} lost what it had"
        synced = installation.hubsync("sync", "--json")
        assert synced.returncode == 0, synced.stdout + synced.stderr
        again = installation.hubsync("check", "--write-policy", "--json")
        assert (again.returncode, json.loads(again.stdout)["written"]) == (0, [])
        assert installation.files() == after
    found = query(
        installation.warehouse,
        "select name, is_enabled, reason_code, access_level from app.access "
        "join app.customers using (customer_id)",
    )
    access = {name: (enabled, reason) for name, enabled, reason, _ in found}
    assert access == german.expected
    assert {level for _, enabled, _, level in found if enabled} == {"team"}
    kinds = query(installation.warehouse, "select kind from ops.findings")
    assert ("PIPELINE_WITHOUT_ROLE",) not in kinds
    assert ("VALUE_UNMAPPED",) in kinds  # what was not guessed is asked for


# The proposal itself, without a sync.


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped policy in a folder that a test may write to."""
    folder = tmp_path / "dbt_project" / "seeds"
    shutil.copytree(policy.SEEDS, folder)
    shutil.copy(policy.SEEDS.parent / "policy_hints.toml", folder.parent)
    monkeypatch.setattr(policy, "SEEDS", folder)
    return folder


@pytest.fixture
def portal() -> Portal:
    """A portal as HubSpot makes it, without records."""
    return Portal(seed=3)


def proposal(hubsync: Hubsync, *arguments: str) -> Json:
    outcome = hubsync("check", "--json", *arguments)
    assert outcome.code == 0, outcome.out + outcome.err
    answer: Json = json.loads(outcome.out)
    return answer


def proposed(answer: Json, seed: str) -> list[Json]:
    return [row for row in answer["proposal"]["rows"] if row["seed"] == seed]


@pytest.mark.usefixtures("duckdb_file")
@pytest.mark.parametrize(
    ("label", "role", "confirm"),
    [
        ("Renewals EMEA", "renewal", True),
        ("Renouvellements", "renewal", True),
        ("Renovación de contratos", "renewal", True),
        ("Rinnovi", "renewal", True),
        ("Contractverlengingen", "renewal", True),
        ("契約更新", "renewal", True),
        ("Renewals & upsells", "sales", False),
        ("Renewable energy", "sales", False),
        ("Énergies renouvelables", "sales", False),
        ("Renovation projects", "sales", False),
        ("Recruiting 2026", "ignore", False),
        ("Something else", "sales", False),
    ],
)
def test_a_pipeline_counts_as_renewals_only_where_its_name_says_just_that(
    portal: Portal,
    server: Server,
    hubsync: Hubsync,
    label: str,
    role: str,
    confirm: bool,
) -> None:
    pipeline(portal, "900", label, stage("1", "Won", 1.0), stage("2", "Lost", 0.0))
    (row,) = proposed(proposal(hubsync), "deal_pipelines")
    assert row["values"] == {
        "object_type": "deals",
        "pipeline": "900",
        "role": role,
        "if_missing": "error",
    }
    assert row["confirm"] is confirm


@pytest.mark.usefixtures("duckdb_file")
@pytest.mark.parametrize(
    ("name", "label", "options", "churned"),
    [
        ("statut_client", "Statut client", {"a": "Actif", "r": "Résilié"}, "r"),
        ("estado", "Estado del cliente", {"act": "Activo", "b": "De baja"}, "b"),
        ("klantstatus", "Klantstatus", {"a": "Actief", "o": "Opgezegd"}, "o"),
        ("health", "Account status", {"Active": "Active", "Lost": "Lost"}, "Lost"),
        # Not a customer's status, or no word for having left: never evidence.
        ("news", "Newsletter", {"active": "Active", "cancelled": "Cancelled"}, None),
        ("risk", "Customer status", {"ok": "Active", "r": "Churn risk"}, None),
        ("only", "Customer status", {"gone": "Churned"}, None),
        ("odd", "Customer status", {"x": "Active", "active": "Churned"}, None),
        ("old", "Customer status", {"x": "Active", "churned": "Seasonal"}, None),
    ],
)
def test_churn_is_proposed_only_from_a_customer_status_in_words_for_having_left(
    portal: Portal,
    server: Server,
    hubsync: Hubsync,
    name: str,
    label: str,
    options: dict[str, str],
    churned: str | None,
) -> None:
    portal.add_property("companies", status_property(name, label, **options))
    portal.create("companies", {"name": "A", name: next(reversed(options))})
    rows = proposed(proposal(hubsync), "churn_signals")
    found = [row for row in rows if row["values"]["effect"] == "churn"]
    assert [row["values"]["value"] for row in found] == ([churned] if churned else [])
    assert all(row["confirm"] and row["records"] == 1 for row in found)


@pytest.mark.usefixtures("duckdb_file")
def test_of_two_customer_statuses_none_is_chosen_and_both_are_asked_about(
    portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    for name in ("customer_state", "account_status"):
        given = status_property(name, name.replace("_", " "), a="Active", c="Churned")
        portal.add_property("companies", given)
    answer = proposal(hubsync)
    assert proposed(answer, "churn_signals") == []
    asked = "\n".join(answer["proposal"]["questions"])
    for name in ("customer_state", "account_status"):
        assert f"STATUS_CHURNED,churn,companies,,,{name},c,,error" in asked


@pytest.mark.usefixtures("duckdb_file", "server")
def test_where_somebody_has_said_what_churn_is_no_other_property_is_proposed(
    portal: Portal, seeds: Path, hubsync: Hubsync
) -> None:
    given = status_property("state", "Customer state", a="Active", c="Churned")
    portal.add_property("companies", given)
    with (seeds / "churn_signals.csv").open("a") as handle:
        handle.write("LEFT,churn,companies,,,hs_lead_status,UNQUALIFIED,,error\n")
    assert proposed(proposal(hubsync), "churn_signals") == []


@pytest.mark.usefixtures("duckdb_file", "server")
def test_a_new_option_of_the_known_status_is_proposed_and_the_others_left(
    portal: Portal, hubsync: Hubsync
) -> None:
    options = {"active": "Active", "churned": "Churned", "gone": "Terminated"}
    given = status_property("customer_status", "Customer status", **options)
    portal.add_property("companies", given)
    (row,) = proposed(proposal(hubsync), "churn_signals")
    assert (row["values"]["value"], row["values"]["effect"]) == ("gone", "churn")


def test_no_hint_means_two_things() -> None:
    hints = proposal_module._Hints.read()
    for name, groups in hints._groups.items():
        words = [word for group in groups.values() for word in group]
        assert len(words) == len(set(words)), name
    # A stem that holds one of these would recognise nothing.
    unsaid = hints._lists["not_renewal_pipeline_stems"]
    for stem in hints._lists["renewal_pipeline_stems"]:
        assert not any(word in stem for word in unsaid), stem


@pytest.mark.usefixtures("duckdb_file")
def test_of_two_contract_ends_none_is_chosen(
    portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    portal.add_property("deals", date_property("contract_end", "Contract end"))
    portal.add_property("deals", date_property("vertragsende", "Vertragsende"))
    answer = proposal(hubsync)
    assert proposed(answer, "policy_dates") == []
    assert "contract_end, vertragsende" in "\n".join(answer["proposal"]["questions"])


@pytest.mark.usefixtures("duckdb_file")
def test_a_closed_stage_that_is_neither_won_nor_lost_is_a_question(
    portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    odd = {"isClosed": "true", "probability": "0.5"}
    closed = {"id": "77", "label": "Won", "metadata": odd}
    pipeline(portal, "900", "Contract renewals", closed, stage("2", "Lost", 0.0))
    answer = proposal(hubsync)
    assert proposed(answer, "deal_stages") == []
    assert "Stage “Won” (77) of “Contract renewals” is closed" in "\n".join(
        answer["proposal"]["questions"]
    )


@pytest.mark.usefixtures("duckdb_file", "server")
def test_rows_of_people_stay_to_the_byte_and_win_over_the_proposal(
    portal: Portal, seeds: Path, hubsync: Hubsync
) -> None:
    for number in ("900", "901"):
        pipeline(portal, number, f"Renewals {number}", stage("2", "Lost", 0.0))
    mine = seeds / "deal_pipelines.csv"
    # A spreadsheet's file: byte order mark, CRLF, quotes, no newline at the end.
    written = (
        "\ufeffobject_type,pipeline,role,if_missing\r\n"
        'deals,"Renewals 900","sales","error"'
    ).encode()
    mine.write_bytes(written)
    answer = proposal(hubsync, "--write-policy")
    assert answer["written"] == ["dbt_project/seeds/deal_pipelines.csv"]
    assert mine.read_bytes() == (
        written + b"\r\ndeals,default,sales,error\r\n" + b"deals,901,renewal,error\r\n"
    )
    asked = "\n".join(answer["proposal"]["questions"])
    assert "“Renewals 900” reads like renewals" in asked
    assert "line 2 says sales" in asked


@pytest.mark.usefixtures("duckdb_file", "server")
def test_without_the_option_nothing_is_written(
    portal: Portal, seeds: Path, hubsync: Hubsync
) -> None:
    pipeline(portal, "900", "Renewals EMEA", stage("2", "Lost", 0.0))
    before = {path: path.read_bytes() for path in seeds.iterdir()}
    outcome = hubsync("check")
    assert outcome.code == 0
    assert "? deal_pipelines: deals,900,renewal,error" in outcome.out
    assert "0 records today" in outcome.out
    assert "hubsync check --write-policy appends these rows" in outcome.out
    assert {path: path.read_bytes() for path in seeds.iterdir()} == before


@pytest.mark.usefixtures("duckdb_file", "server")
@pytest.mark.parametrize(("answer", "rows"), [("n", 0), ("", 0), ("y", 1)])
def test_on_a_terminal_it_shows_the_difference_and_asks(
    portal: Portal,
    seeds: Path,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    rows: int,
) -> None:
    pipeline(portal, "900", "Renewals EMEA", stage("2", "Lost", 0.0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    outcome = hubsync("check", "--write-policy")
    assert outcome.code == 0
    assert "+deals,900,renewal,error" in outcome.out
    with (seeds / "deal_pipelines.csv").open() as handle:
        found = [row for row in csv.DictReader(handle) if row["pipeline"] == "900"]
    assert len(found) == rows


@pytest.mark.usefixtures("duckdb_file", "server")
def test_a_policy_that_may_not_be_written_is_a_sentence_and_stays_whole(
    portal: Portal,
    seeds: Path,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline(portal, "900", "Renewals EMEA", stage("2", "Lost", 0.0))
    before = {path: path.read_bytes() for path in seeds.iterdir()}

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipelines.policy.os.replace", refuse)
    outcome = hubsync("check", "--write-policy")
    assert outcome.code == 2
    assert "The policy cannot be written" in outcome.err
    assert "Nothing was written" in outcome.err
    assert {path: path.read_bytes() for path in seeds.iterdir()} == before


@pytest.mark.usefixtures("duckdb_file", "server")
def test_the_example_portal_needs_no_row_that_ends_access(hubsync: Hubsync) -> None:
    example = Portal.example(companies=20, seed=1)
    with serve(example, port=0) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCES__HUBSPOT__BASE_URL", running.url)
        patch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", example.token)
        answer = proposal(hubsync)
    assert [row for row in answer["proposal"]["rows"] if row["confirm"]] == []


def test_a_question_without_an_answer_is_a_no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    assert terminal.agreed("Write?") is False

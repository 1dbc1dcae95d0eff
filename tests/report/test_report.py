"""What the report says is what the database says, on both engines; and it never
gets into the way of the run that it is about."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from pipelines import ops, report
from pipelines.cli import main
from pipelines.report import content, page
from pipelines.warehouse import Warehouse
from tests.report.conftest import HOSTILE, PIPELINE, STAGE, STATUS, Story

ROOT = Path(__file__).resolve().parents[2]


def read(story: Story) -> content.Content:
    return content.told(content.Answers(story.warehouse, 60))


def data_of(html: str) -> dict[str, Any]:
    """What the page's script reads."""
    (packed,) = re.findall(r'id="data">([^<]*)<', html)
    decoded: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return decoded


def test_a_held_sync_writes_the_report(story: Story) -> None:
    html = story.page.read_text(encoding="utf-8")
    assert "Everything is in step" in html
    assert "7 changes wait for you" in html


def test_a_report_that_cannot_be_written_fails_no_sync(story: Story) -> None:
    assert "The report was not written: " in story.printed[0]
    assert "cannot be written: No such file or directory." in story.printed[0]
    assert "The report was not written" not in story.printed[1]
    assert f"report:          {story.page}" in story.printed[1]


def test_of_a_list_that_nobody_would_read_the_rest_is_counted(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read(story)
    rows = max((group["rows"] for group in found.findings), key=len)
    monkeypatch.setattr(page, "_SHOWN", 1)
    monkeypatch.setattr(page, "_LISTED", len(rows) - 1)
    html = page.render(found)
    assert f"Show {len(rows) - 1} of {len(rows)}" in html
    monkeypatch.setattr(page, "_LISTED", len(rows))
    assert f"Show all {len(rows)}" in page.render(found)


def test_held_changes_have_reason_evidence_and_the_commands(
    story: Story, tmp_path: Path
) -> None:
    held = read(story).waiting
    assert {row["customer_id"] for row in held} == set(story.churned)
    for row in held:
        assert row["change"] == "would lose access"
        assert row["reason"] == "The company is marked as churned"
        assert row["fact"]["text"].startswith("Customer status: churned")
        assert row["fact"]["set"], "HubSpot said when the value was set"
        assert row["fact"]["url"].endswith(f"/record/0-2/{row['customer_id']}")
    ((plan_id,),) = story.rows("select distinct plan_id from ops.access_plan")
    html = unescape(story.write(tmp_path / "page.html"))
    for word in ("approve", "reject"):
        command = f'hubsync {word} {plan_id} --by "YOUR NAME" --reason "WHY"'
        assert f"<code>{command}</code>" in html


def test_each_period_tells_who_gained_and_lost_and_not_the_first_publication(
    story: Story,
) -> None:
    periods = {period["key"]: period for period in read(story).periods}
    lost = {
        key: [row["customer_id"] for row in period["lost"]]
        for key, period in periods.items()
    }
    recent, older = story.lost
    assert lost == {"today": [], "week": [recent], "month": [older, recent]}
    for period in periods.values():
        gained = {row["customer_id"]: row for row in period["gained"]}
        assert story.won in gained
        # Twenty and more customers had access from the start.
        assert len(gained) <= 2
        won = gained[story.won]
        assert won["reason"] == "A subscription is in force"
        assert STAGE in won["fact"]["text"]
        assert won["fact"]["url"].endswith(f"/record/0-3/{story.deal}")
    (row,) = periods["week"]["lost"]
    assert row["reason"] == "Our own signal"


def test_findings_are_a_worklist_by_what_to_do(story: Story) -> None:
    found = read(story)
    groups = {group["kind"]: group for group in found.findings}
    assert "CHANGE_HELD" not in groups, "it has a place of its own"
    (unmapped,) = groups["VALUE_UNMAPPED"]["rows"]
    assert unmapped["object_id"] == story.unmapped
    assert STATUS in unmapped["what_to_do"]
    assert unmapped["hubspot_url"].endswith(f"/record/0-2/{story.unmapped}")
    assert any(
        PIPELINE in row["what_to_do"] for row in groups["PIPELINE_WITHOUT_ROLE"]["rows"]
    )
    ((records,),) = story.rows(
        "select count(distinct object_type || object_id) from ops.findings "
        "where severity <> 'info' and object_id is not null "
        "and kind not in ('CHANGE_HELD', 'EXTRACT_HELD')"
    )
    assert found.to_fix == records
    assert sum(len(group["rows"]) for group in found.findings) == len(
        story.rows(
            "select finding_id from ops.findings "
            "where kind not in ('CHANGE_HELD', 'EXTRACT_HELD')"
        )
    )
    severities = [group["severity"] for group in found.findings]
    assert severities == sorted(severities, key=("error", "warning", "info").index)


def test_overrides_graces_and_other_ends_are_told_before_they_come(
    story: Story,
) -> None:
    ending = {group["kind"]: group["rows"] for group in read(story).ending}
    told = {row["customer_id"] for rows in ending.values() for row in rows}
    overrides = story.rows(
        "select customer_id from intermediate.int_customer_overrides "
        "where is_in_force and ends_at <= now() + interval '30 days'"
    )
    assert {row["customer_id"] for row in ending["override"]} == {
        row[0] for row in overrides
    }
    assert overrides
    dated = story.rows(
        "select customer_id from app.access where is_enabled "
        "and access_until > now() and access_until <= now() + interval '30 days'"
    )
    assert {row[0] for row in dated} <= told
    assert all(row["reason_code"] == "GRACE" for row in ending["grace"])
    for rows in ending.values():
        assert rows == sorted(rows, key=lambda row: row["ends_at"])


def test_health_tells_budget_latency_and_runs(story: Story) -> None:
    found = read(story)
    assert found.budget is not None
    assert found.budget["daily_calls"] == 625_000
    assert 0 < found.budget["daily_calls_left"] < 625_000
    ((calls,),) = story.rows("select sum(api_calls) from ops.sync_runs")
    assert found.calls_today == calls
    assert found.status["latency"]["changes"] >= 1
    assert [run["command"] for run in found.runs] == ["sync", "sync"]
    charts = found.charts
    assert len(charts["days"]) == len(charts["gained"]) == len(charts["calls"]) == 14
    assert sum(charts["lost"]) == 2
    assert len(charts["runs"]) == 2


def test_the_last_reconcile_is_told_with_its_percentage(story: Story) -> None:
    assert read(story).reconciled is None
    insert = (
        "insert into ops.sync_runs (run_id, command, started_at, finished_at, status, "
        "rows_read, error) values (?, 'reconcile', now(), now(), ?, "
        '\'{"companies": 40, "app.customers": 30}\', ?)'
    )
    differ = "2 of 70 rows differ: 97.14 % in step. hubsync reconcile --repair mends."
    try:
        story.rows(insert, "reconcile-1", "done", None)
        same = read(story).reconciled
        assert same is not None
        assert (same["percent"], same["differs"], same["rows"]) == ("100", False, 70)
        story.rows("delete from ops.sync_runs where run_id = 'reconcile-1'")
        story.rows(insert, "reconcile-2", "failed", differ)
        found = read(story)
        assert found.reconciled is not None
        assert found.reconciled["percent"] == "97.14"
        assert "97.14 % in step" in page.sentence(found)
    finally:
        story.rows("delete from ops.sync_runs where command = 'reconcile'")


def test_every_customer_is_in_the_search_and_a_merged_id_finds_its_survivor(
    story: Story,
) -> None:
    of = read(story).customers
    known = story.rows(
        "select customers.customer_id, name, is_enabled, reason_code "
        "from app.customers left join app.access "
        "on access.customer_id = customers.customer_id where record_state <> 'merged'"
    )
    assert sorted(
        zip(of["id"], of["name"], of["on"], of["reason"], strict=True)
    ) == sorted((id, name, int(on), code) for id, name, on, code in known)
    survivor, gone = story.merged
    assert of["id"][of["aliases"][gone]] == survivor
    assert gone not in of["id"]
    assert set(of["waits"]) == {str(of["id"].index(id)) for id in story.churned}


def test_no_contact_and_no_address_is_on_the_page(story: Story, tmp_path: Path) -> None:
    html = story.write(tmp_path / "page.html")
    everything = unescape(html) + json.dumps(data_of(html), ensure_ascii=False)
    people = story.rows("select email, phone from app.contacts where email is not null")
    owners = story.rows(
        "select distinct owner_email from app.customers where owner_email is not null"
    )
    assert people
    for email, phone in people:
        assert email not in everything
        assert not phone or phone not in everything
    for (email,) in owners:
        assert email not in everything


def test_one_page_whatever_the_engine(
    duckdb_story: Story, postgres_story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for story in (duckdb_story, postgres_story):
        for name, value in story.environment.items():
            monkeypatch.setenv(name, value)
        found = read(story)
        told.append(
            {
                "sentence": page.sentence(found),
                "findings": [
                    (group["kind"], [row["record"] for row in group["rows"]])
                    for group in found.findings
                ],
                "facts": sorted(map(str, found.customers["fact"])),
                "names": sorted(map(str, found.customers["name"])),
                "until": sorted(map(str, found.customers["until"])),
            }
        )
    assert told[0] == told[1]


# -- where and when it is written; no engine could break that by itself


@pytest.fixture
def synced(
    duckdb_story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The DuckDB file of a copy of the story, which HUBSYNC_DUCKDB names."""
    path = tmp_path / "hubsync.duckdb"
    duckdb_story.rows("checkpoint")
    shutil.copy(duckdb_story.environment["HUBSYNC_DUCKDB"], path)
    monkeypatch.setenv("HUBSYNC_DUCKDB", str(path))
    return path


def test_the_command_writes_beside_the_database_and_says_the_sentence(
    synced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Everything is in step · 7 changes wait for you")
    assert "hubsync-report.html" in printed
    assert (synced.parent / "hubsync-report.html").exists()


def test_output_and_the_variable_say_where_and_json_says_what(
    synced: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given = synced.parent / "named.html", synced.parent / "given.html"
    monkeypatch.setenv("HUBSYNC_REPORT", str(named))
    assert main(["report", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(named)
    assert told["bytes"] == named.stat().st_size
    assert told["waiting"] == 7
    assert main(["report", "--output", str(given)]) == 0
    assert given.exists()


def test_before_the_first_sync_there_is_nothing_to_report(
    duckdb_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report"]) == 2
    assert "run hubsync sync first" in capsys.readouterr().err
    assert not list(duckdb_file.parent.iterdir())


def test_an_output_that_cannot_be_written_is_a_sentence(
    synced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--output", str(synced.parent / "no" / "x.html")]) == 1
    told = capsys.readouterr().err
    assert "x.html cannot be written: No such file or directory." in told
    assert "--output" in told


def test_a_failed_sync_is_on_the_page(
    synced: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "a-token")
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SOURCES__HUBSPOT__ATTEMPTS", "1")
    monkeypatch.delenv("HUBSYNC_REPORT", raising=False)
    assert main(["sync"]) == 1
    html = (synced.parent / "hubsync-report.html").read_text(encoding="utf-8")
    assert "The last sync failed; the app is as it was before" in html
    assert "HubSpot did not answer" in html
    # And where that cannot be written, the reader gets both sentences.
    monkeypatch.setenv("HUBSYNC_REPORT", str(synced.parent / "no" / "x.html"))
    capsys.readouterr()
    assert main(["sync"]) == 1
    told = capsys.readouterr().err
    assert "HubSpot did not answer" in told
    assert "The report was not written: " in told


def test_what_was_rejected_waits_no_longer_on_the_page(
    synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUBSYNC_REPORT", raising=False)
    warehouse = Warehouse("duckdb", path=synced)
    with warehouse.connect() as connection:
        plan_id = connection.execute("select max(plan_id) from ops.access_plan")[0][0]
    assert main(["reject", plan_id, "--by", "Ann", "--reason", "an import"]) == 0
    html = (synced.parent / "hubsync-report.html").read_text(encoding="utf-8")
    assert "Nothing waits for you." in html


def test_an_object_type_that_is_held_back_is_on_top(synced: Path) -> None:
    warehouse = Warehouse("duckdb", path=synced)
    with warehouse.connect() as connection:
        connection.execute(
            "update ops.extract_guard set is_held = true, plan_id = 'abc', "
            "detail = 'HubSpot gave 3 deals instead of 900.' "
            "where object_type = 'deals'"
        )
        connection.execute("update ops.access_plan set held = false")
    written = report.write(warehouse, synced.parent / "page.html")
    assert written.sentence.startswith(
        "HubSpot gave too few records; a part is held back · 1 change waits for you"
    )
    html = unescape(written.path.read_text(encoding="utf-8"))
    assert "HubSpot gave 3 deals instead of 900." in html
    assert "hubsync approve abc --by" in html


def test_an_empty_variable_switches_it_off(
    synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSYNC_REPORT", "")
    notes: list[str] = []
    assert report.write_after(Warehouse("duckdb", path=synced), notes) is None
    assert notes == []
    assert not list(synced.parent.glob("*.html"))


def test_an_error_nobody_foresaw_keeps_the_old_page_and_is_a_sentence(
    synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(_: object) -> str:
        raise KeyError("something")

    path = synced.parent / "page.html"
    path.write_text("the old page")
    monkeypatch.setenv("HUBSYNC_REPORT", str(path))
    monkeypatch.setattr(page, "render", render)
    notes: list[str] = []
    assert report.write_after(Warehouse("duckdb", path=synced), notes) is None
    assert notes == ["The report was not written (KeyError: 'something')."]
    assert path.read_text() == "the old page"
    assert not list(synced.parent.glob(".*.new"))


def test_a_database_with_runs_only_still_has_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very first sync failed: nothing but ops.sync_runs exists."""
    monkeypatch.setenv("HUBSYNC_DUCKDB", str(tmp_path / "hubsync.duckdb"))
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "a-token")
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SOURCES__HUBSPOT__ATTEMPTS", "1")
    monkeypatch.delenv("HUBSYNC_REPORT", raising=False)
    assert main(["sync"]) == 1
    html = (tmp_path / "hubsync-report.html").read_text(encoding="utf-8")
    assert "Nothing is published yet: the last sync failed" in html


def test_a_database_from_before_the_budget_was_kept_is_reported_and_upgraded(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    with warehouse.connect() as connection:
        ops.create_tables(connection)
    for column in ("daily_calls", "daily_calls_left"):
        with warehouse.connect() as connection:
            connection.execute(f"alter table ops.sync_runs drop column {column}")
    report.write(warehouse, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "HubSpot did not say what the account allows" in html
    with ops.recorded(warehouse, "sync") as run:
        run.daily_calls, run.daily_calls_left = 1_000, 750
    report.write(warehouse, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "25.0 % of the account's 1,000 a day is used" in unescape(html)


def test_the_headline_counts_in_good_english(duckdb_story: Story) -> None:
    from dataclasses import replace

    found = read(duckdb_story)
    one = replace(
        found, waiting=found.waiting[:1], to_fix=1, settings_to_fix=0, losses=[]
    )
    assert page.sentence(one) == (
        "Everything is in step · 1 change waits for you · "
        "1 record in HubSpot needs fixing"
    )
    none = replace(found, waiting=[], to_fix=0, settings_to_fix=0, losses=[])
    assert page.sentence(none) == "Everything is in step · nothing waits for you"


def test_every_code_of_the_models_has_words() -> None:
    """A new rule or hold gets its words; only a portal's own codes go without."""
    models = ROOT / "dbt_project" / "models"
    verdicts = "".join(
        file.read_text()
        for file in (models / "intermediate").glob("int_access_verdicts*.sql")
    )
    reasons = {"UNDONE", *re.findall(r"(?:then|else) '([A-Z_]{5,})'", verdicts)}
    signals = (ROOT / "dbt_project" / "seeds" / "churn_signals.csv").read_text()
    churn = {row.split(",")[0] for row in signals.splitlines() if ",churn," in row}
    assert {"OVERRIDE_DENY", "NO_SUBSCRIPTION"} <= reasons
    assert reasons | churn <= set(content.WORDS["reasons"])
    described = (models / "ops" / "_ops__models.yml").read_text()
    holds = set(re.findall(r"- ([A-Z]+_[A-Z_]+|PROTECTED|FIRST_RUN)\n", described))
    assert {"EXTRACT_GUARD", "PROTECTED"} <= holds
    assert holds <= set(content.WORDS["holds"])


def test_the_name_of_a_hostile_company_is_escaped_wherever_it_is(
    story: Story, tmp_path: Path
) -> None:
    html = story.write(tmp_path / "page.html")
    assert HOSTILE[0] not in html
    assert STAGE not in html
    assert html.count("<script") == 2, "the data, and the script of the page"
    names = data_of(html)["customers"]["name"]
    assert set(HOSTILE) <= set(names)

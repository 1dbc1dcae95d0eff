"""`hubsync status` and `hubsync check`: what the one who runs it looks at first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from tests.conftest import Databases, administer
from tests.run.conftest import Hubsync


def test_status_before_the_first_sync_is_stale_and_makes_no_file(
    duckdb_file: Path, hubsync: Hubsync
) -> None:
    outcome = hubsync("status")
    assert outcome.code == 1
    assert "STALE: nothing was ever published" in outcome.out
    assert not duckdb_file.exists()


def test_status_after_a_sync_is_fresh_until_the_limit(
    synced: Warehouse, hubsync: Hubsync
) -> None:
    fresh = hubsync("status")
    assert fresh.code == 0
    assert fresh.out.startswith("Fresh")
    stale = hubsync("status", "--stale-after", "0.000001", "--json")
    assert stale.code == 1
    status = json.loads(stale.out)
    assert status["fresh"] is False
    assert status["runs"][0]["status"] == "done"
    assert status["runs"][0]["api_calls"] > 0


def test_a_wrong_limit_is_a_sentence(
    duckdb_file: Path, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSYNC_STALE_MINUTES", "soon")
    outcome = hubsync("status")
    assert outcome.code == 2
    assert "'soon'" in outcome.err


def test_check_answers_for_token_portal_scopes_policy_and_database(
    warehouse: Warehouse, portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    outcome = hubsync("check")
    assert outcome.code == 0, outcome.out
    for subject in ("token", "portal", "scopes", "object types", "policy", "database"):
        assert f"✓ {subject}: " in outcome.out
    assert str(portal.portal_id) in outcome.out


def test_check_says_what_a_postgresql_user_may_do_and_who_reads_app(
    postgres_database: str,
    postgres_server: dict[str, str],
    databases: Databases,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync, reader = databases.role("sync"), databases.role("app_reader")
    outcome = hubsync("check", "--target", "postgres")
    assert outcome.code == 0, outcome.out
    assert f"✓ roles: {sync} may do what a sync does\n" in outcome.out
    assert f"✓ roles: app may be read by {reader}\n" in outcome.out
    monkeypatch.setenv("PGUSER", postgres_server["PGUSER"])
    outcome = hubsync("check", "--target", "postgres")
    assert outcome.code == 0
    assert "and everything else as a superuser: deploy/roles.sql" in outcome.out
    administer(
        {**postgres_server, "PGDATABASE": postgres_database},
        f'revoke create on database "{postgres_database}" from {sync}',
    )
    monkeypatch.setenv("PGUSER", sync)
    outcome = hubsync("check", "--target", "postgres")
    assert outcome.code == 2
    assert f"✗ roles: {sync} may not create the schemas staging, " in outcome.out


def test_check_names_every_missing_scope(
    duckdb_file: Path,
    portal: Portal,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = "companies deals line_items products custom owners"
    kinds = ("objects", "schemas")
    scopes = [f"crm.{kind}.{name}.read" for kind in kinds for name in objects.split()]
    scopes += [f"crm.schemas.{name}.read" for name in ("contacts", "subscriptions")]
    portal.add_token("narrow-token", scopes=[*scopes, "tickets"])
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "narrow-token")
    outcome = hubsync("check")
    assert outcome.code == 2, outcome.out
    assert "✗ scopes: The HubSpot token may not read contacts" in outcome.out
    assert "✗ scopes: The HubSpot token may not read subscriptions" in outcome.out
    assert "✓ scopes: may read companies, deals, " in outcome.out


def test_check_goes_on_after_a_wrong_token(
    duckdb_file: Path,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "wrong-token")
    outcome = hubsync("check", "--json")
    assert outcome.code == 2
    answers = {each["subject"]: each for each in json.loads(outcome.out)["answers"]}
    assert answers["portal"]["exit_code"] == 2
    assert answers["database"]["exit_code"] == 0


def test_check_says_that_a_database_cannot_be_reached(
    duckdb_file: Path,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PGHOST", str(tmp_path))
    monkeypatch.setenv("PGUSER", "nobody")
    monkeypatch.setenv("PGDATABASE", "nothing")
    outcome = hubsync("check", "--target", "postgres")
    assert outcome.code == 1
    assert "✗ database: Cannot open" in outcome.out

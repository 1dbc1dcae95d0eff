"""What may happen to a sync at work: its exit code, its sentence, and nothing lost.

Each test edits the portal and makes trouble for one sync, which publishes nothing. Then
one plain sync: raw must equal the portal to the character, and app must have every edit
and nothing else. The suite syncs so once after all the troubles of an engine, `make
test-deep` after each. The tests of an engine share one database, PostgreSQL's on a
server of their own, which they stop, restart and fill.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
import psycopg2
import pytest
import time_machine

from pipelines import ops, resident
from pipelines.cli import main
from pipelines.errors import DatabaseUnavailable, HubsyncError
from pipelines.sync import Finished
from pipelines.transform import Transformation, release, transform
from pipelines.warehouse import Warehouse
from sandbox import Portal, Server, serve
from tests.conftest import ROLES, Databases, administer, started_postgres
from tests.extract.conftest import Differences, differences
from tests.run.conftest import Hubsync, app_rows, query
from tests.run.test_alerts import Receiver, receiver
from tests.run.test_decisions import churn, enabled, with_access

__all__ = ["differences", "receiver"]  # fixtures of other folders, used here too

COMPANIES = 12
HOURS = float(os.environ.get("HUBSYNC_TEST_HOURS", "0"))  # 12: make test-deep


@dataclass
class World:
    """A portal, its server, and a database that was synced with it."""

    portal: Portal
    server: Server
    warehouse: Warehouse
    settings: dict[str, str]
    compare: Differences
    superuser: dict[str, str] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)
    cities: dict[str, str] = field(default_factory=dict)

    def edit(self, *, churned: bool = False) -> str:
        """Someone moves to another city, or leaves; who."""
        customer = with_access(self.warehouse)[0]
        if churned:
            churn(self.portal, [customer])
            self.enabled.discard(customer)
        city = f"Rotterdam {uuid.uuid4().hex[:6]}"
        self.portal.update("companies", customer, {"city": city})
        self.cities[customer] = city
        return customer

    def is_exact(self) -> None:
        """Raw is the portal, app has every edit, and access is what it should be."""
        assert self.compare(self.warehouse, self.portal) == []
        assert enabled(self.warehouse) == self.enabled
        told = dict(
            query(self.warehouse, "select customer_id, city from app.customers")
        )
        assert {each: told[each] for each in self.cities} == self.cities

    def recovers(self, hubsync: Hubsync, *, now: bool = HOURS >= 12) -> None:
        """One plain sync, and everything is as if there had been no trouble."""
        if not now:
            return
        outcome = hubsync("sync")
        assert outcome.code == 0, outcome.err
        self.is_exact()

    @contextmanager
    def application(self, *statements: str) -> Iterator[Any]:
        """A session of the app's own user, in a transaction that has said that."""
        connection = psycopg2.connect(
            host=self.superuser["PGHOST"],
            port=self.superuser.get("PGPORT") or 5432,
            user=self.superuser["PGUSER"],
            password=self.superuser.get("PGPASSWORD"),
            dbname=self.superuser["PGDATABASE"],
            application_name="the app",
        )
        try:
            for statement in statements:
                connection.cursor().execute(statement)
            yield connection
        finally:
            connection.close()

    def set_role(self, setting: str) -> None:
        """A setting of the sync role's next sessions."""
        user = self.settings["PGUSER"]
        administer(self.superuser, f'alter role "{user}" {setting}')


@contextmanager
def world(settings: dict[str, str], compare: Differences) -> Iterator[World]:
    """A world in that database after its first sync."""
    portal = Portal.example(companies=COMPANIES, seed=1)
    with serve(portal, port=0) as server, pytest.MonkeyPatch.context() as patch:
        settings = {
            **settings,
            "SOURCES__HUBSPOT__BASE_URL": server.url,
            "SOURCES__HUBSPOT__ACCESS_TOKEN": portal.token,
            "SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS": "5000",
            "SOURCES__HUBSPOT__SEARCHES_PER_SECOND": "500",
            "SOURCES__HUBSPOT__ATTEMPTS": "1",
            "HUBSYNC_REPORT": "",
        }
        for name, value in settings.items():
            patch.setenv(name, value)
        made = World(portal, server, Warehouse.from_environment(), settings, compare)
        assert main(["sync"]) == 0
        release()
        made.enabled = enabled(made.warehouse)
        patch.undo()
        yield made


@pytest.fixture(scope="module")
def on_duckdb(
    tmp_path_factory: pytest.TempPathFactory, differences: Differences
) -> Iterator[World]:
    path = tmp_path_factory.mktemp("robust") / "hubsync.duckdb"
    settings = {"HUBSYNC_TARGET": "duckdb", "HUBSYNC_DUCKDB": str(path)}
    with world(settings, differences) as made:
        yield made


@dataclass
class Postgres:
    """A server that may be stopped, and whose disk may be filled."""

    handle: Any
    variables: dict[str, str]

    def restart(self) -> None:
        self.handle.stop()
        self.handle.start()

    def crash(self) -> None:
        """All of its processes end where they stand; the next start recovers."""
        os.kill(self.handle.get_pid(), signal.SIGQUIT)
        while (self.handle.pgdata / "postmaster.pid").exists():
            time.sleep(0.05)
        self.handle.start()

    @contextmanager
    def files_no_larger_than(self, size: int) -> Iterator[None]:
        """Its files may not grow beyond so many bytes: to a server, that is a disk
        without room. It has the limit from the process that starts it."""
        self.handle.stop()
        with our_files_no_larger_than(size):
            self.handle.start()
        try:
            yield
        finally:
            self.restart()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    with started_postgres() as (handle, variables):
        yield Postgres(handle, variables)


@pytest.fixture(scope="module")
def on_postgres(own_server: Postgres, differences: Differences) -> Iterator[World]:
    databases = Databases(own_server.variables, "hubsync_")
    settings = {**databases.create("robust"), "HUBSYNC_TARGET": "postgres"}
    with world(settings, differences) as made:
        made.superuser = {**own_server.variables, "PGDATABASE": "robust"}
        yield made


@pytest.fixture(autouse=True)
def settings(
    request: pytest.FixtureRequest,
    clean_environment: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment points into the world that a test uses."""
    for name in ("on_duckdb", "on_postgres"):
        if name in request.fixturenames:
            made: World = request.getfixturevalue(name)
            for variable, value in made.settings.items():
                monkeypatch.setenv(variable, value)


@contextmanager
def meanwhile(action: Callable[[], bool]) -> Iterator[None]:
    """Repeat that beside a sync until it says that it has happened."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set() and not action():
            over.wait(0.02)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def once_at(portal: Portal, part: str, action: Callable[[], None]) -> None:
    """Do that when HubSpot is asked for a path with that part, before it answers."""
    done = threading.Lock()

    def hook(_method: str, target: str) -> None:
        if part in target and done.acquire(blocking=False):
            action()
            portal.before_request.remove(hook)

    portal.before_request.append(hook)


# -- a database that goes away -----------------------------------------------------


def test_a_database_that_is_restarted_in_the_middle_of_a_sync_ends_it_with_1(
    on_postgres: World, own_server: Postgres, hubsync: Hubsync
) -> None:
    on_postgres.edit()
    once_at(on_postgres.portal, "companies/search", own_server.restart)
    before = app_rows(on_postgres.warehouse)
    outcome = hubsync("sync")
    assert outcome.code == 1, outcome.err
    assert "holds the lock was lost" in outcome.err
    assert "run again" in outcome.err
    assert "Traceback" not in outcome.err
    assert app_rows(on_postgres.warehouse) == before
    on_postgres.recovers(hubsync)


def test_a_sync_after_a_crash_of_the_server_builds_everything_and_changes_nothing(
    on_postgres: World, own_server: Postgres, hubsync: Hubsync
) -> None:
    """What is made anew from raw is not in the server's log, so a crash empties it."""
    assert hubsync("sync").code == 0
    before = app_rows(on_postgres.warehouse)
    own_server.crash()
    customers = "select count(*) from intermediate.int_customers"
    assert query(on_postgres.warehouse, customers) == [(0,)]
    assert app_rows(on_postgres.warehouse) == before
    on_postgres.edit()
    assert hubsync("sync").code == 0
    assert query(on_postgres.warehouse, customers) != [(0,)]
    on_postgres.is_exact()


def test_a_database_that_is_down_is_said_with_its_name(
    on_postgres: World, own_server: Postgres, hubsync: Hubsync
) -> None:
    own_server.handle.stop()
    try:
        for command in ("sync", "plan", "status", "why"):
            outcome = hubsync(command, *(["acme"] if command == "why" else []))
            assert outcome.code == 1, outcome.err
            assert "PostgreSQL database robust" in outcome.err + outcome.out
            assert "run again when it is back" in outcome.err + outcome.out
    finally:
        own_server.handle.start()


def killing(world: World, table: str) -> Callable[[], bool]:
    """End our session that waits for a lock on a table, and the next one, too."""

    def act() -> bool:
        connection = psycopg2.connect(
            host=world.superuser["PGHOST"],
            user=world.superuser["PGUSER"],
            dbname=world.superuser["PGDATABASE"],
        )
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_locks where not granted "
            "and relation = %s::regclass",
            (table,),
        )
        connection.close()
        return False

    return act


@pytest.mark.parametrize(("killed", "code"), [(1, 0), (2, 1)])
def test_a_connection_that_is_killed_while_it_takes_the_lock_is_made_once_more(
    on_postgres: World,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
    killed: int,
    code: int,
) -> None:
    opened, before = Warehouse._open, app_rows(on_postgres.warehouse)
    left = [killed]

    def and_killed(self: Warehouse) -> Any:
        raw = opened(self)
        if left[0]:
            left[0] -= 1
            end = f"select pg_terminate_backend({raw.info.backend_pid}, 5000)"
            administer(on_postgres.superuser, end)
        return raw

    monkeypatch.setattr(Warehouse, "_open", and_killed)
    outcome = hubsync("sync")
    assert outcome.code == code, outcome.err
    assert not left[0]
    assert ("ended the connection that was to hold the lock" in outcome.err) is (
        code == 1
    )
    assert app_rows(on_postgres.warehouse) == before


@pytest.mark.parametrize(
    ("table", "churned"), [("hubspot_raw.companies", False), ("app.access", True)]
)
def test_a_connection_that_is_killed_while_it_writes_ends_the_sync_with_1(
    on_postgres: World, hubsync: Hubsync, table: str, churned: bool
) -> None:
    on_postgres.edit(churned=churned)
    before = app_rows(on_postgres.warehouse)
    with (
        on_postgres.application(f"lock table {table} in share mode"),
        meanwhile(killing(on_postgres, table)),
    ):
        outcome = hubsync("sync")
    assert outcome.code == 1, outcome.err
    assert "was restarted meanwhile" in outcome.err
    assert "othing was published" in outcome.err
    assert "Traceback" not in outcome.err
    assert app_rows(on_postgres.warehouse) == before
    on_postgres.recovers(hubsync)


# -- a database that refuses ---------------------------------------------------------


def test_a_statement_timeout_ends_the_sync_with_1_and_says_how_to_raise_it(
    on_postgres: World, hubsync: Hubsync
) -> None:
    on_postgres.edit()
    on_postgres.set_role("set statement_timeout = '2s'")
    try:
        with on_postgres.application("lock table hubspot_raw.companies in share mode"):
            outcome = hubsync("sync")
    finally:
        on_postgres.set_role("reset statement_timeout")
    assert outcome.code == 1, outcome.err
    assert "set statement_timeout = 0" in outcome.err
    assert "othing was published" in outcome.err
    on_postgres.recovers(hubsync)


def test_a_lock_that_the_app_holds_ends_the_sync_with_1_and_names_who_holds_it(
    on_postgres: World, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving = on_postgres.edit(churned=True)
    before = app_rows(on_postgres.warehouse)
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=500ms")
    row = f"select 1 from app.access where customer_id = '{leaving}' for update"
    with on_postgres.application(row) as app:
        outcome = hubsync("sync")
        holder = f"user {on_postgres.superuser['PGUSER']} (the app), pid"
        assert f"{holder} {app.info.backend_pid}" in outcome.err
    assert outcome.code == 1, outcome.err
    assert "app.access" in outcome.err
    assert "pg_terminate_backend" in outcome.err
    assert "Nothing was published" in outcome.err
    assert app_rows(on_postgres.warehouse) == before
    monkeypatch.delenv("PGOPTIONS")
    on_postgres.recovers(hubsync)


def test_a_read_only_database_ends_the_sync_with_1_before_anything_is_read(
    on_postgres: World, hubsync: Hubsync
) -> None:
    asked = len(on_postgres.server.requests)
    on_postgres.set_role("set default_transaction_read_only = on")
    try:
        outcome = hubsync("sync")
    finally:
        on_postgres.set_role("reset default_transaction_read_only")
    assert outcome.code == 1, outcome.err
    assert "PGHOST names a standby" in outcome.err
    assert len(on_postgres.server.requests) == asked


def test_a_read_only_duckdb_file_ends_the_sync_with_1(
    on_duckdb: World, hubsync: Hubsync
) -> None:
    """In a process of its own: root may write anything until it gives that up."""
    asked = len(on_duckdb.server.requests)
    path = on_duckdb.warehouse.path
    assert path is not None
    path.chmod(0o444)
    try:
        outcome = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "sync"],
            env=dict(os.environ),
            preexec_fn=lambda: ctypes.CDLL(None).prctl(24, 1, 0, 0, 0),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.chmod(0o644)
    assert outcome.returncode == 1, outcome.stderr
    assert "may only be read" in outcome.stderr
    assert len(on_duckdb.server.requests) == asked
    on_duckdb.recovers(hubsync)


def test_the_lock_of_a_sync_holds_back_no_vacuum(on_postgres: World) -> None:
    with on_postgres.warehouse.lock():
        rows = query(
            on_postgres.warehouse,
            "select state, backend_xmin, backend_xid from pg_stat_activity "
            "where application_name = 'hubsync' and pid <> pg_backend_pid()",
        )
    assert rows == [("idle in transaction", None, None)]


@pytest.fixture
def unencrypted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that answers each wish for encryption with no."""

    class Refuse(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(8):
                self.request.sendall(b"N")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HUBSYNC_TARGET", "postgres")
        monkeypatch.setenv("PGHOST", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(server.server_address[1]))
        monkeypatch.setenv("PGUSER", "hubsync_sync")
        monkeypatch.setenv("PGDATABASE", "robust")
        monkeypatch.setenv("PGSSLMODE", "require")
        yield
        server.shutdown()


def test_nothing_connects_without_the_encryption_that_is_asked_for(
    unencrypted: None,
) -> None:
    """psycopg2 is ours, dbt's and dlt's, ADBC is dlt's alone."""
    warehouse = Warehouse.from_environment()
    credentials = warehouse.destination().config_params["credentials"]
    url = credentials.to_native_representation()
    with pytest.raises(HubsyncError, match="look at PGSSLMODE"), warehouse.lock():
        pass
    with pytest.raises(HubsyncError, match="SSL"):
        transform(warehouse, run_id="none", now=datetime.now(UTC), publish=False)
    with pytest.raises(psycopg2.Error, match="SSL"):
        psycopg2.connect(url)
    with pytest.raises(adbc_driver_postgresql.dbapi.Error, match="SSL"):
        adbc_driver_postgresql.dbapi.connect(url)


def test_a_database_that_was_dumped_and_restored_syncs_on(
    on_postgres: World,
    own_server: Postgres,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As docs/operating.md tells it."""
    events = "select * from app.access_events order by event_id"
    before = query(on_postgres.warehouse, events)
    for variable, value in own_server.variables.items():
        monkeypatch.setenv(variable, value)
    dump = str(tmp_path / "hubsync.dump")
    for line in (
        f"pg_dump --format custom --file {dump} robust",
        "createdb restored",
        f"pg_restore --dbname restored --exit-on-error {dump}",
    ):
        program, *arguments = line.split()
        binary = str(Path(own_server.handle.bin_path) / program)
        subprocess.run([binary, *arguments], check=True, capture_output=True)
    restored = {**own_server.variables, "PGDATABASE": "restored"}
    administer(restored, ROLES.read_text())
    for variable, value in {**on_postgres.settings, "PGDATABASE": "restored"}.items():
        monkeypatch.setenv(variable, value)
    assert query(on_postgres.warehouse, events) == before
    on_postgres.recovers(hubsync, now=True)
    assert query(on_postgres.warehouse, events)[: len(before)] == before


# -- a disk without room -------------------------------------------------------------


def test_a_full_disk_of_the_server_ends_the_sync_with_1(
    on_postgres: World, own_server: Postgres, hubsync: Hubsync
) -> None:
    customer = on_postgres.edit()
    on_postgres.portal.update("companies", customer, {"address": long_text()})
    # A long value that was never committed: the file is as large as the disk allows,
    # and what it holds is what it held before.
    with on_postgres.application(
        "insert into hubspot_raw.companies (id, address, _state) select 'never', "
        "string_agg(md5(n::text), ''), 'live' from generate_series(1, 600000) as n"
    ):
        pass
    before = app_rows(on_postgres.warehouse)
    with own_server.files_no_larger_than(16 * 2**20):
        outcome = hubsync("sync")
    assert outcome.code == 1, outcome.err
    assert "The disk of the database is full" in outcome.err
    assert "othing was published" in outcome.err
    assert app_rows(on_postgres.warehouse) == before
    on_postgres.recovers(hubsync)


def test_a_temporary_file_limit_ends_the_sync_with_1_and_is_named(
    on_postgres: World, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_postgres.set_role("set temp_file_limit = 0")
    monkeypatch.setenv("PGOPTIONS", "-cwork_mem=64kB")
    before = app_rows(on_postgres.warehouse)
    try:
        outcome = hubsync("sync")
    finally:
        on_postgres.set_role("reset temp_file_limit")
    assert outcome.code == 1, outcome.err
    assert "temp_file_limit" in outcome.err
    assert app_rows(on_postgres.warehouse) == before


def test_a_duckdb_that_may_use_no_more_memory_ends_the_sync_with_1_and_is_named(
    on_duckdb: World, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = app_rows(on_duckdb.warehouse)
    monkeypatch.setenv("HUBSYNC_DUCKDB_MEMORY", "20MB")
    release()  # DuckDB has it as long as one connection of this process is open
    outcome = hubsync("sync")
    release()
    assert outcome.code == 1, outcome.err
    assert "Raise HUBSYNC_DUCKDB_MEMORY" in outcome.err
    assert app_rows(on_duckdb.warehouse) == before
    monkeypatch.delenv("HUBSYNC_DUCKDB_MEMORY")
    on_duckdb.recovers(hubsync)


def long_text() -> str:
    """As long as HubSpot's values may be, and not to be compressed."""
    return "".join(uuid.uuid4().hex for _ in range(1800))


@contextmanager
def our_files_no_larger_than(size: int) -> Iterator[None]:
    """The same for files of this process: dlt's, and the DuckDB file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_folder_of_temporary_files_ends_the_sync_with_1_and_is_named(
    on_postgres: World, hubsync: Hubsync
) -> None:
    on_postgres.edit()
    with our_files_no_larger_than(512):
        outcome = hubsync("sync")
    assert outcome.code == 1, outcome.err
    assert f"{tempfile.gettempdir()}, is full" in outcome.err
    assert "TMPDIR" in outcome.err
    on_postgres.recovers(hubsync)


def test_a_full_disk_under_the_duckdb_file_ends_the_sync_with_1(
    on_duckdb: World, hubsync: Hubsync
) -> None:
    on_duckdb.edit(churned=True)
    # More than the log beside the file will have room for.
    for contact in on_duckdb.portal.live_ids("contacts")[:12]:
        on_duckdb.portal.update("contacts", contact, {"jobtitle": long_text()})
    before = app_rows(on_duckdb.warehouse)
    with our_files_no_larger_than(2**20):
        outcome = hubsync("sync")
        release()
    assert outcome.code == 1, outcome.err
    assert "The disk of the database is full" in outcome.err
    assert "Traceback" not in outcome.err
    assert app_rows(on_duckdb.warehouse) == before
    on_duckdb.recovers(hubsync)


def test_after_all_of_that_one_plain_sync_makes_postgres_exact(
    on_postgres: World, hubsync: Hubsync
) -> None:
    on_postgres.recovers(hubsync, now=True)


def test_an_error_after_the_publication_does_not_claim_that_there_was_none(
    on_duckdb: World,
) -> None:
    error = DatabaseUnavailable("The database failed.")
    with (
        suppress(DatabaseUnavailable),
        ops.recorded(on_duckdb.warehouse, "sync") as run,
    ):
        run.published_at = run.clock()
        raise error
    [note] = error.__notes__
    assert "Everything had been published before this" in note


# -- HubSpot, clocks, signals ----------------------------------------------------------


def test_an_outage_of_hubspot_ends_each_sync_with_1_and_is_told_once(
    on_duckdb: World, receiver: Receiver
) -> None:
    """Ten minutes at a sync a minute, then HubSpot is back."""
    portal = on_duckdb.portal
    stop = threading.Event()
    told: list[Finished | Exception] = []

    def next_minute(outcome: Finished | Exception) -> None:
        told.append(outcome)
        portal.clock.advance(60)
        if len(told) == 5:
            on_duckdb.edit()
        if len(told) == 10:
            portal.faults.clear()
        if len(told) == 11:
            stop.set()

    portal.faults.rate, portal.faults.most_in_a_row = 1.0, 10**9
    every = timedelta(milliseconds=1)
    resident.run(every, target=None, told=next_minute, stop=stop)
    assert {getattr(each, "exit_code", 0) for each in told[:10]} == {1}
    assert "nothing is lost" in str(told[0])
    assert isinstance(told[10], Finished)
    on_duckdb.is_exact()
    assert receiver.states == ["failed", "recovered"]


@pytest.mark.parametrize("step", [timedelta(days=400), timedelta(days=-3)])
def test_a_clock_that_is_wrong_ends_nobodys_access_and_misses_no_edit(
    on_duckdb: World, hubsync: Hubsync, step: timedelta
) -> None:
    on_duckdb.edit()
    right = on_duckdb.portal.clock.now()
    offset = right - datetime.now(UTC)
    on_duckdb.portal.clock.set(right)  # the sandbox lives in the same process
    try:
        with time_machine.travel(right + step, tick=True):
            outcome = hubsync("sync")
    finally:
        on_duckdb.portal.clock.run()
        on_duckdb.portal.clock.advance(offset.total_seconds())
    assert outcome.code == 0, outcome.err
    side = "ahead of" if step > timedelta(0) else "behind"
    assert f"The clock of this machine is {abs(step).days} days" in outcome.out
    assert f"{side} HubSpot's" in outcome.out
    on_duckdb.is_exact()
    [(started, published)] = query(
        on_duckdb.warehouse,
        "select started_at, published_at from ops.sync_runs "
        "order by started_at desc limit 1",
    )
    assert abs(started - right) < timedelta(minutes=2)
    assert abs(published - right) < timedelta(minutes=2)
    assert hubsync("status").code == 0


def test_a_signal_at_any_moment_ends_the_sync_with_1_and_half_writes_nothing(
    on_duckdb: World, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_duckdb.edit(churned=True)
    before = app_rows(on_duckdb.warehouse)

    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def soon(method: Callable[[Transformation], None]) -> Any:
        def interrupted(self: Transformation, **given: Any) -> None:
            timer = threading.Timer(0.3, terminate)
            timer.start()
            method(self, **given)
            timer.join()
            time.sleep(0.1)

        return interrupted

    for moment in ("schemas", "companies/search", "decide", "publish"):
        with monkeypatch.context() as patch:
            if moment in ("decide", "publish"):
                method = getattr(Transformation, moment)
                patch.setattr(Transformation, moment, soon(method))
            else:
                once_at(on_duckdb.portal, moment, terminate)
            outcome = hubsync("sync")
        assert outcome.code == 1, (moment, outcome.err)
        assert "Stopped. Nothing is half-written" in outcome.err
        if moment != "publish":  # it may have been just done
            assert app_rows(on_duckdb.warehouse) == before
        rows = query(
            on_duckdb.warehouse,
            "select status, exit_code, started_at from ops.sync_runs "
            "order by started_at desc",
        )
        assert rows[0][:2] == ("interrupted", 1), (moment, rows)
    on_duckdb.recovers(hubsync, now=True)

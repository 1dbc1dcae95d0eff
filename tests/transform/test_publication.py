"""What readers of app may rely on: all of a publication, or nothing of it."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import duckdb
import psycopg2
import pytest
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED as READ_COMMITTED
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ as REPEATABLE_READ

from pipelines.sync import manual_edits
from pipelines.warehouse import Warehouse
from tests.conftest import ROLES, Databases, administer
from tests.transform.conftest import NOW, ROOT, Database, failures
from tests.transform.portal import Portal

# By hand: HUBSYNC_TEST_PUBLICATIONS=50 pytest tests/transform/test_publication.py
PUBLICATIONS = int(os.environ.get("HUBSYNC_TEST_PUBLICATIONS", "4"))
ON_POSTGRES = pytest.mark.parametrize("engine", ["postgres"], indirect=True)
ENDED, OPEN = "2026-01-31", "2099-12-31"

TABLES = {
    "customers": "customer_id",
    "subscriptions": "customer_id, status",
    "memberships": "customer_id",
    "access": "customer_id, is_enabled, version",
    "access_events": "customer_id, to_enabled, event_id",
}
# The same in one statement, which has a snapshot of its own at every level.
CONTRADICTIONS = """
    select 'without a customer', customer_id
    from (
        select customer_id from app.subscriptions
        union all select customer_id from app.memberships
        union all select customer_id from app.access
    ) as referring
    where customer_id not in (select customer_id from app.customers)
    union all
    select 'without access', customer_id from app.customers
    where customer_id not in (select customer_id from app.access)
    union all
    select 'against its subscription', access.customer_id
    from app.access as access
    where is_enabled <> (
        access.customer_id in (
            select customer_id from app.subscriptions where status = 'active'
        )
    )
    union all
    select 'against its events', access.customer_id
    from app.access as access
    left join (
        select customer_id, count(*) as changes, max(event_id) as newest
        from app.access_events group by customer_id
    ) as history on history.customer_id = access.customer_id
    left join app.access_events as events on events.event_id = history.newest
    where
        access.version is distinct from history.changes
        or access.is_enabled is distinct from events.to_enabled
"""


class Reader(threading.Thread):
    """Polls app until told to stop, and keeps what contradicts itself."""

    def __init__(self, database: Database, level: int) -> None:
        super().__init__(daemon=True)
        self.database, self.level = database, level
        self.stopped = threading.Event()
        self.polls = 0
        self.states: set[str] = set()
        self.found: list[Any] = []

    def run(self) -> None:
        try:
            with self.connected() as cursor:
                while not self.stopped.is_set():
                    self.poll(cursor)
                    self.polls += 1
                    # dbt shares this process: a turn for it, or it hardly gets any.
                    self.stopped.wait(0.002)
        except Exception as error:
            self.found.append(error)

    @contextmanager
    def connected(self) -> Iterator[Any]:
        if self.database.target == "duckdb":
            with duckdb.connect(self.database.environment["HUBSYNC_DUCKDB"]) as opened:
                yield opened
            return
        connection = psycopg2.connect("")
        connection.set_session(isolation_level=self.level, autocommit=True)
        with connection.cursor() as cursor:
            yield cursor
        connection.close()

    def poll(self, cursor: Any) -> None:
        cursor.execute(CONTRADICTIONS)
        self.found += cursor.fetchall()
        if self.level != REPEATABLE_READ:
            return
        cursor.execute("begin")
        rows = {}
        for table, columns in TABLES.items():
            cursor.execute(f"select {columns} from app.{table}")
            rows[table] = cursor.fetchall()
        cursor.execute("commit")
        self.states.add(str(sorted(rows["access"])))
        known = {row[0] for row in rows["customers"]}
        active = {id for id, status in rows["subscriptions"] if status == "active"}
        newest = {
            id: (on, len([e for e in rows["access_events"] if e[0] == id]))
            for id, on, _ in sorted(rows["access_events"], key=lambda event: event[2])
        }
        for id, enabled, version in rows["access"]:
            if enabled != (id in active) or newest.get(id) != (enabled, version):
                self.found.append(("several statements", id))
        for table in ("subscriptions", "memberships", "access"):
            self.found += [(table, row) for row in rows[table] if row[0] not in known]


def test_readers_at_every_isolation_level_see_all_of_a_publication_or_nothing(
    database: Database, portal: Portal
) -> None:
    now = datetime.fromisoformat(NOW)
    old = [f"c{number}" for number in range(6)]
    for number, id in enumerate(old):
        portal.company(id)
        portal.deal(f"d-{id}", id, contract_end_date=(OPEN, ENDED)[number % 2])
        portal.contact(f"p-{id}", id)
    database.publish(portal)
    readers = [Reader(database, level) for level in (READ_COMMITTED, REPEATABLE_READ)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(1, PUBLICATIONS + 1):
            for number, id in enumerate(old):
                ends = (OPEN, ENDED)[(number + turn) % 2]
                portal.deal(f"d-{id}", contract_end_date=ends)
            portal.company(f"new{turn}")
            portal.deal(f"d-new{turn}", f"new{turn}")
            portal.contact(f"p-new{turn}", f"new{turn}")
            # Days apart, or the breaker would rightly hold so much coming and going.
            database.publish(portal, now=(now + timedelta(days=2 * turn)).isoformat())
    finally:
        for reader in readers:
            reader.stopped.set()
            reader.join(60)
    assert [reader.found[:3] for reader in readers] == [[], []]
    assert all(reader.polls > 10 * PUBLICATIONS for reader in readers)
    assert len(readers[1].states) > PUBLICATIONS, "every publication was looked at"
    events = database.run("select count(*) from app.access_events")
    assert events == [(6 + PUBLICATIONS * 7,)], "everybody's access changed every time"


def test_a_publication_that_fails_in_the_middle_publishes_nothing(
    database: Database, portal: Portal
) -> None:
    for id in ("1", "2"):
        portal.company(id)
        portal.deal(f"d{id}", id)
    database.publish(portal)
    # The app's own index, which what HubSpot says now does not respect.
    database.run("create unique index own on app.subscriptions (name)")
    before = {t: database.rows(f"app.{t}") for t in (*TABLES, "contacts")}
    portal.company("1", name="Renamed", customer_status="churned")
    portal.contact("new", "1")
    portal.deal("d1", dealname="The same")
    portal.deal("d2", dealname="The same")
    database.load(portal)
    result = database.dbt("run")
    assert [item.node.name for item in result.result if item.status == "error"] == [
        "access"
    ], failures(result)
    assert {t: database.rows(f"app.{t}") for t in before} == before

    portal.deal("d2", dealname="Another")
    database.publish(portal)
    assert database.access()["1"] == (False, "STATUS_CHURNED")
    assert database.run("select contact_id from app.contacts") == [("new",)]


def test_the_apps_own_table_is_filled_and_its_own_things_stay(
    database: Database, portal: Portal
) -> None:
    database.run("create schema if not exists app")
    database.run(
        "create table app.customers (customer_id varchar(40) not null,"
        " name varchar(80), plan varchar default 'gold')"
    )
    database.run(
        "insert into app.customers values ('1', 'Old', 'lead'), ('2', 'X', '')"
    )
    database.run("create index own_index on app.customers (plan)")
    if database.target == "postgres":
        database.run("create table app.log (customer_id text, operation text)")
        database.run(
            "create function app.log() returns trigger language plpgsql as $$ begin"
            " insert into app.log values (new.customer_id, tg_op); return new; end $$"
        )
        database.run(
            "create trigger own_trigger after insert or update on app.customers"
            " for each row execute function app.log()"
        )
        database.run("alter table app.customers add unique (customer_id)")
        database.run(
            "create table app.invoices (customer_id varchar(40) references"
            " app.customers (customer_id) deferrable initially deferred)"
        )
        database.run("insert into app.invoices values ('1')")
    for id in ("1", "new"):
        portal.company(id)
        portal.deal(f"d{id}", id)
    portal.company("2", name="X")
    for _ in range(2):
        database.publish(portal)
    assert database.run(
        "select customer_id, name, plan, record_state from app.customers order by 1"
    ) == [
        ("1", "Company 1", "lead", "live"),
        ("2", "X", "", "live"),
        ("new", "Company new", "gold", "live"),
    ]
    assert database.run("select count(*) from ops.manual_edits") == [(0,)]
    if database.target == "postgres":
        assert database.run("select * from app.log order by 1") == [
            ("1", "UPDATE"),
            ("2", "UPDATE"),
            ("new", "INSERT"),
        ]
        keys = (
            "select conname from pg_constraint where contype = 'f' and confrelid = %s"
        )
        names = database.run(f"{keys}::regclass order by 1", ("app.customers",))
        assert [name for (name,) in names] == [
            "access_customer_id_fkey",
            "access_events_customer_id_fkey",
            "customer_aliases_customer_id_fkey",
            "invoices_customer_id_fkey",
            "memberships_customer_id_fkey",
            "subscriptions_customer_id_fkey",
        ]
        indexes = database.run(
            "select indexname from pg_indexes where schemaname='app'"
        )
        assert ("own_index",) in indexes


def test_what_was_edited_by_hand_is_put_back_and_said(
    database: Database, portal: Portal
) -> None:
    for id in ("1", "2", "3", "4"):
        portal.company(id)
        portal.deal(f"d{id}", id)
        portal.contact(f"p{id}", id)
    portal.company("3", customer_status="churned")
    database.publish(portal)
    database.publish()
    assert database.rows("ops.manual_edits") == []
    for edit in (
        "update app.customers set name = 'Mine', city = 'Here' where customer_id = '1'",
        "delete from app.memberships where contact_id = 'p2'",
        "update app.subscriptions set ends_on = '2030-01-01' where customer_id = '4'",
        "update app.access set is_enabled = true, access_level = 'team'"
        " where customer_id = '3'",
        # What HubSpot will say as well, a moment later.
        "update app.access set is_enabled = false, access_level = 'none'"
        " where customer_id = '4'",
    ):
        database.run(edit)
    portal.company("2", name="Renamed in HubSpot")
    portal.company("4", customer_status="churned")
    database.publish(portal)
    edits = database.run(
        "select table_name, row_key, columns from ops.manual_edits order by 1, 2"
    )
    assert edits == [
        ("access", "3", "access_level, is_enabled"),
        ("access", "4", "access_level, is_enabled"),
        ("customers", "1", "name, city"),
        ("memberships", "p2 2", None),
        ("subscriptions", "deal:d4", "ends_on"),
    ]
    [(run,)] = database.run("select distinct run_id from ops.manual_edits")
    [note] = manual_edits(Warehouse.from_environment(), run)
    assert "app.access 2 (e.g. 3), app.customers 1 (e.g. 1)" in note
    assert database.access("is_enabled", "version") == {
        "1": (True, 1),
        "2": (True, 1),
        "3": (False, 2),
        "4": (False, 2),
    }
    told = (
        "select to_enabled, reason_code from app.access_events where customer_id = %s"
    )
    assert database.run(f"{told} order by event_id", ("4",)) == [
        (True, "SUBSCRIPTION_ACTIVE"),
        (False, "STATUS_CHURNED"),
    ]
    assert database.run(
        "select name, city from app.customers order by customer_id"
    ) == [
        ("Company 1", None),
        ("Renamed in HubSpot", None),
        ("Company 3", None),
        ("Company 4", None),
    ]
    database.publish()
    assert len(database.rows("ops.manual_edits")) == len(edits), "said once"
    result = database.dbt("test", "--select", "path:tests/app")
    assert result.success, failures(result)


def test_current_access_ends_at_its_instant_and_keeps_its_grants(
    database: Database, portal: Portal
) -> None:
    for id in ("1", "2", "3"):
        portal.company(id)
        portal.deal(f"d{id}", id)
    portal.company("3", customer_status="churned")
    database.publish(portal)
    database.run("update app.access set access_until = now() where customer_id = '1'")
    database.run(
        "update app.access set access_until = now() + interval '1 day'"
        " where customer_id = '2'"
    )
    reading = (
        "select customer_id, is_enabled, access_level, has_ended"
        " from app.current_access order by 1"
    )
    now = [
        ("1", False, "none", True),
        ("2", True, "starter", False),
        ("3", False, "none", False),
    ]
    assert database.run(reading) == now
    if database.target == "postgres":
        ends_now = "update app.access set access_until = now(); "
        assert database.run(ends_now + reading)[1] == ("2", False, "none", True)
        database.run("grant select on app.current_access to public")
        view = "select oid::int, relacl::text from pg_class where relname = %s"
        before = database.run(view, ("current_access",))
        database.publish()
        assert database.run(view, ("current_access",)) == before


def _listening(database: Database) -> Any:
    connection = psycopg2.connect("")
    connection.autocommit = True
    connection.cursor().execute("listen hubsync_access")
    return connection


@ON_POSTGRES
def test_postgres_names_the_customers_whose_access_changed_when_it_commits(
    database: Database, portal: Portal
) -> None:
    everyone = [f"customer-with-a-long-id-{number:05}" for number in range(900)]
    for id in everyone:
        portal.company(id)
        portal.deal(f"d{id}", id)
    listener = _listening(database)
    database.publish(portal)
    listener.cursor().execute("select 1")  # reads all that has arrived
    assert len(listener.notifies) > 1
    assert all(len(notice.payload.encode()) < 8000 for notice in listener.notifies)
    payloads = [json.loads(notice.payload) for notice in listener.notifies]
    named = [id for payload in payloads for id in payload["customer_ids"]]
    assert sorted(named) == everyone
    runs = database.run("select distinct run_id from app.access_events")
    assert {(payload["run_id"],) for payload in payloads} == set(runs)

    listener.notifies.clear()
    portal.company(everyone[0], name="Renamed")
    portal.company(everyone[1], customer_status="churned")
    # Another reason for the same access: no version, no notice.
    portal.deal(f"d{everyone[2]}", contract_end_date=OPEN)
    database.publish(portal)
    database.publish()
    listener.cursor().execute("select 1")  # reads all that has arrived
    assert [
        json.loads(notice.payload)["customer_ids"] for notice in listener.notifies
    ] == [[everyone[1]]]
    assert database.access("version")[everyone[2]] == 1
    listener.close()


@ON_POSTGRES
def test_the_consumer_of_the_documentation_ends_sessions_also_of_what_it_missed(
    database: Database, portal: Portal
) -> None:
    text = (ROOT / "docs" / "app-developers.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    for id in ("1", "2"):
        portal.company(id)
        portal.deal(f"d{id}", id)
    database.publish(portal)
    [(seen,)] = database.run("select max(event_id) from app.access_events")
    portal.company("1", customer_status="churned")
    database.publish(portal)  # while nobody listened

    ended: list[tuple[str, int]] = []
    told = threading.Condition()
    going = threading.Event()
    going.set()

    def end_sessions(customer_id: str, event_id: int) -> None:
        with told:
            ended.append((customer_id, event_id))
            told.notify()

    consumer = threading.Thread(
        target=names["follow_access"], args=(seen, end_sessions, going.is_set)
    )
    consumer.start()
    with told:
        assert told.wait_for(lambda: len(ended) == 1, 30)
    portal.company("2", customer_status="churned")
    database.publish(portal)
    with told:
        assert told.wait_for(lambda: len(ended) == 2, 30)
    going.clear()
    database.run("notify hubsync_access")
    consumer.join(30)
    assert not consumer.is_alive()
    assert ended == [("1", seen + 1), ("2", seen + 2)]


@ON_POSTGRES
def test_postgres_itself_refuses_to_change_what_happened(
    database: Database, portal: Portal
) -> None:
    portal.company("1")
    portal.deal("d", "1")
    database.publish(portal)
    before = database.rows("app.access_events")
    for statement in (
        "update app.access_events set to_level = 'none'",
        "delete from app.access_events",
        "truncate app.access_events",
    ):
        with pytest.raises(psycopg2.Error, match="append-only, what happened stays"):
            database.run(statement)
    assert database.rows("app.access_events") == before


@ON_POSTGRES
def test_each_role_may_do_its_own_and_nothing_else(
    database: Database, portal: Portal, databases: Databases
) -> None:
    inside = {**databases.superuser, "PGDATABASE": database.environment["PGDATABASE"]}
    administer(inside, "create schema if not exists theirs")
    administer(inside, "create table if not exists theirs.secret (id int)")
    for _ in range(2):
        administer(inside, ROLES.read_text().replace("hubsync_", databases.prefix))
    portal.company("1")
    portal.deal("d", "1")
    for _ in range(2):
        database.publish(portal)  # made anew meanwhile: intermediate, ops
    database.run("create view hubspot.companies as select * from hubspot_raw.companies")

    def may(role: str, statement: str) -> bool:
        connection = psycopg2.connect(
            host=inside["PGHOST"],
            port=inside.get("PGPORT") or 5432,
            user=inside["PGUSER"],
            password=inside.get("PGPASSWORD"),
            dbname=inside["PGDATABASE"],
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"set role {databases.role(role)}")
                cursor.execute(statement)
            return True
        except psycopg2.errors.InsufficientPrivilege:
            return False
        finally:
            connection.close()  # never committed

    statements = {
        "select * from app.access": {"sync", "app_reader"},
        "select * from app.current_access": {"sync", "app_reader"},
        "select * from ops.access_plan": {"sync", "analyst"},
        "select * from hubspot_raw.companies": {"sync", "analyst"},
        "select * from hubspot.companies": {"sync", "analyst"},
        "select * from intermediate.int_access_verdicts": {"sync"},
        "update app.access set is_enabled = true": {"sync"},
        "insert into app.customers select * from app.customers where false": {"sync"},
        "delete from ops.findings": {"sync"},
        "drop table hubspot_raw.deals cascade": {"sync"},
        "create schema another": {"sync"},
        "create table app.another (id int)": {"sync"},
        "create table ops.another (id int)": {"sync"},
        "select * from theirs.secret": set(),
        "create table public.another (id int)": set(),
        "create role another": set(),
    }
    roles = ("sync", "app_reader", "analyst")
    assert {
        statement: {role for role in roles if may(role, statement)}
        for statement in statements
    } == statements
    powers = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    assert database.run(
        f"select distinct {powers} from pg_roles where rolname like %s",
        (f"{databases.prefix}%",),
    ) == [(False,) * 5]

"""Which database: the only Python that names an engine.

DuckDB is the embedded default, PostgreSQL 15+ is production. Credentials are libpq's
own PG* variables, the ones `profiles.yml` reads, so dlt and dbt cannot disagree.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import dlt
import duckdb
import psycopg2
from dlt.common.destination import Destination
from dlt.destinations.impl.postgres.configuration import PostgresCredentials

from pipelines.errors import (
    AlreadyRunning,
    ConfigurationError,
    DatabaseUnavailable,
)
from pipelines.trouble import meaning

Target = Literal["duckdb", "postgres"]

_LOCK_KEY = zlib.crc32(b"hubsync")
# Of every session, dlt's and dbt's too. Who waits for a lock without end is a sync that
# never ends, and everyone else waits behind it.
# The default of 4 MB has every join of a large portal write files. To compile them, as
# a server may do by default, pays for queries of many seconds, and these are none. What
# is read here was written a moment ago, so it is in memory: PostgreSQL 18 would hand
# each read of it to a process of its own, for a tenth of the server's time.
_SESSION = (
    "-ctimezone=UTC -clock_timeout=60s -cwork_mem=64MB -cjit=off "
    "-ceffective_io_concurrency=0"
)
_BUSY = (
    "Another sync is running on {where}. This one did nothing; the next scheduled "
    "run will catch up."
)


@dataclass(frozen=True)
class Privileges:
    """A PostgreSQL user's rights: `schemas` says of each whether it may be used and
    written to, `readers` who else may use schema app."""

    user: str
    is_superuser: bool
    server_version: int
    may_create_schemas: bool
    schemas: dict[str, bool]
    readers: list[str]


class Connection:
    """One transaction; `?` marks a parameter on both engines."""

    def __init__(self, raw: Any, *, placeholder: str) -> None:
        self._raw = raw
        self._placeholder = placeholder
        self.columns: list[str] = []

    def execute(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; rows, or an empty list when it returns none."""
        if self._placeholder != "?":
            sql = sql.replace("%", "%%").replace("?", "%s") if params else sql
        # DuckDB's own cursor() is another connection, with a transaction of its own.
        cursor = self._raw if self._placeholder == "?" else self._raw.cursor()
        cursor.execute(sql, tuple(params)) if params else cursor.execute(sql)
        if cursor.description is None:
            self.columns = []
            return []
        self.columns = [column[0] for column in cursor.description]
        return cast("list[tuple[Any, ...]]", cursor.fetchall())

    def ensure_tables(self, schema: str, *tables: str) -> None:
        """Make tables of a schema where they are not there, and add the columns that
        one made by an earlier release lacks. Each is a `create table if not exists`
        with a column per line.
        """
        self.execute(f"create schema if not exists {schema}")
        for table in tables:
            self.execute(table)
        # Looked up first: even an `add column if not exists` that adds nothing waits
        # for everyone who reads the table.
        known = set(
            self.execute(
                "select table_name, column_name from information_schema.columns "
                "where table_schema = ?",
                (schema,),
            )
        )
        for table in tables:
            (name,) = re.findall(rf"create table if not exists {schema}\.(\w+)", table)
            for column, kind in re.findall(r"(?m)^ +(\w+) (\w+)", table):
                if column != "create" and (name, column) not in known:
                    self.execute(
                        f"alter table {schema}.{name} add column {column} {kind}"
                    )

    def notify(self, channel: str, payload: str) -> None:
        """Tell whoever listens on that channel, when this transaction commits; a
        payload has less than 8,000 bytes. DuckDB has nobody who could listen."""
        if self._placeholder != "?":
            self.execute("select pg_notify(?, ?)", (channel, payload))


class Warehouse:
    """The database of a target. Connections are short: DuckDB allows one owner."""

    def __init__(self, target: Target, *, path: Path | None = None) -> None:
        self.target: Target = target
        self.path = path
        self._lock: Any = None  # the connection that holds the lock, while it is held
        # DuckDB refuses to open one file twice at the same moment in one process.
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if target == "duckdb" else nullcontext()
        )

    @classmethod
    def from_environment(cls, target: str | None = None) -> Warehouse:
        """`target`, else HUBSYNC_TARGET, else duckdb.

        Raises ConfigurationError for an unknown target or missing PG* variables.
        """
        chosen = target or os.environ.get("HUBSYNC_TARGET") or "duckdb"
        if chosen == "duckdb":
            path = Path(os.environ.get("HUBSYNC_DUCKDB") or "hubsync.duckdb")
            if not path.absolute().parent.is_dir():
                raise ConfigurationError(
                    f"HUBSYNC_DUCKDB points into {path.absolute().parent}, which is "
                    "not a folder. Nothing was read or changed."
                )
            return cls("duckdb", path=path)
        if chosen == "postgres":
            missing = [
                name
                for name in ("PGHOST", "PGUSER", "PGDATABASE")
                if not os.environ.get(name)
            ]
            if missing:
                raise ConfigurationError(
                    f"The postgres target needs {', '.join(missing)} in the "
                    "environment (and PGPORT, PGPASSWORD, PGSSLMODE as your server "
                    "requires). Nothing was read or changed."
                )
            return cls("postgres")
        raise ConfigurationError(
            f"Unknown target {chosen!r}: it is duckdb or postgres. "
            "Nothing was read or changed."
        )

    def describe(self) -> str:
        """For messages; never a password."""
        if self.target == "duckdb":
            return f"DuckDB file {self.path}"
        host = os.environ.get("PGHOST", "")
        return f"PostgreSQL database {os.environ.get('PGDATABASE')} on {host}"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """One transaction: committed at a clean end, rolled back otherwise.

        Raises DatabaseUnavailable where the database cannot be reached, or fails in a
        way that has nothing to do with what it was asked.
        """
        with self._turn:
            raw = self._open()
            try:
                if self.target == "duckdb":
                    raw.execute("begin transaction")
                mark = "?" if self.target == "duckdb" else "%s"
                yield Connection(raw, placeholder=mark)
                raw.commit()
            except BaseException as error:
                # Where the connection is gone, the transaction went with it.
                with suppress(duckdb.Error, psycopg2.Error):
                    raw.rollback()
                if isinstance(error, duckdb.Error | psycopg2.Error):
                    self._explain(error)
                raise
            finally:
                raw.close()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that reads: all its statements see the same moment."""
        with self.connect() as connection:
            if self.target == "postgres":  # DuckDB's transactions always do
                connection.execute(
                    "set transaction isolation level repeatable read, read only"
                )
            yield connection

    @contextmanager
    def checkpointing(self) -> Iterator[None]:
        """Have DuckDB move what was written into its file while the block runs, as the
        last connection would when it closes: a second and a half where there is much.

        One that cannot be made now is made then.
        """
        if self.target != "duckdb":
            yield
            return

        def checkpoint() -> None:
            failed = suppress(duckdb.Error, AlreadyRunning, DatabaseUnavailable)
            with failed, self._turn, closing(self._open()) as raw:
                raw.execute("checkpoint")

        thread = threading.Thread(target=checkpoint, name="checkpoint")
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _explain(self, error: Exception) -> None:
        """Raises DatabaseUnavailable where the error is the database's own trouble."""
        if advice := self.advice(str(error)):
            raise DatabaseUnavailable(
                f"The {self.describe()} failed: {_first_line(error)} {advice}"
            ) from error

    def advice(self, message: str) -> str | None:
        """What to do about that message of the database, and who is in the way where
        somebody is; None where it tells no trouble of the database itself."""
        said = meaning(message)
        return said and said + self._blockers(message)

    def _blockers(self, message: str) -> str:
        """Where the message is that of a lock not given: who holds locks on our tables
        now, to follow a sentence. Empty where that cannot be told.

        A role without pg_read_all_stats is told of other users' sessions only whose
        they are.
        """
        if self.target == "duckdb" or "lock timeout" not in message.lower():
            return ""
        try:
            with self.connect() as connection:
                found = connection.execute(_HOLDERS)
        except Exception:  # the message must not be lost to its explanation
            return ""
        if not found:
            return " By now nobody holds one on hubsync's tables; run again."
        holders = "; ".join(
            f"user {user}{f' ({program})' if program else ''}, pid {pid}"
            f"{f', for {round(seconds)} s' if seconds is not None else ''}: {tables}"
            for pid, user, program, seconds, tables in found
        )
        return (
            f" Locks on hubsync's tables are held now by {holders}. Let that session "
            f"commit or end it (select pg_terminate_backend({found[0][0]})), then run "
            "again."
        )

    def _open(self) -> Any:
        try:
            if self.target == "duckdb":
                raw = duckdb.connect(str(self.path))
                raw.execute("set timezone = 'UTC'")
                return raw
            return psycopg2.connect(
                connect_timeout=15,
                application_name="hubsync",
                options=session_options(),
                # That of the lock is silent for as long as a sync takes.
                keepalives_idle=30,
            )
        except (duckdb.Error, psycopg2.Error) as error:
            if "lock on file" in str(error):
                raise AlreadyRunning(
                    f"{self.describe()} is open in another program (DuckDB allows "
                    "one at a time). Close it and run again; nothing was changed."
                ) from None
            raise DatabaseUnavailable(
                f"Cannot open the {self.describe()}: {str(error).strip().rstrip('.')}. "
                f"{meaning(str(error)) or ''}".strip()
            ) from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One run at a time per database (DESIGN rule 8).

        Released by the operating system or the server when the process dies, so a
        crash never leaves a lock behind. Raises AlreadyRunning.
        """
        busy = AlreadyRunning(_BUSY.format(where=self.describe()))
        if self.target == "duckdb":
            try:
                handle = open(f"{self.path}.lock", "w")  # noqa: SIM115
            except OSError as error:
                raise DatabaseUnavailable(
                    f"Cannot write beside the {self.describe()}: {error.strerror}. "
                    "DuckDB and the lock against a second sync need a folder that may "
                    "be written and has room. Nothing was read or changed."
                ) from None
            with handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise busy from None
                # Held open, so that every other connection of this process, dlt's and
                # dbt's too, finds the file open: to open and close it around each of
                # them was a quarter of an unchanged sync. One that is not there yet is
                # for the load to make, after it was told a token.
                there = self.path is not None and self.path.exists()
                with closing(self._open()) if there else nullcontext():
                    yield
            return
        raw = self._locked(busy)
        try:
            self._lock = raw
            yield
        finally:
            self._lock = None
            # Ended here: of a connection that is only closed, the server lets go when
            # it notices, and the next command might find us still running.
            with suppress(psycopg2.Error):
                raw.rollback()
            raw.close()

    def _locked(self, busy: AlreadyRunning, *, again: bool = True) -> Any:
        """A connection to PostgreSQL that has the lock. One that is ended meanwhile has
        done nothing yet, so another is tried. Raises `busy`, DatabaseUnavailable."""
        raw, locked = self._open(), False
        try:
            with raw.cursor() as cursor:
                # Of the transaction, which is open until the end: a pooler that hands
                # out connections per transaction would lose a lock of the session, or
                # keep it for ever. Between its statements it has no snapshot, so it
                # holds back no vacuum.
                cursor.execute("set local idle_in_transaction_session_timeout = 0")
                cursor.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK_KEY,))
                locked = bool(cursor.fetchone()[0])
        except psycopg2.Error as error:
            if not raw.closed:
                raise
            if again:
                return self._locked(busy, again=False)
            raise DatabaseUnavailable(
                f"The {self.describe()} ended the connection that was to hold the lock "
                f"({_first_line(error)}). Nothing was read or changed; run again."
            ) from None
        finally:
            if not locked:
                raw.close()
        if not locked:
            raise busy
        return raw

    def confirm_lock(self) -> None:
        """Before something is written that a second sync must not be writing as well.

        A server that was restarted, or a session that was ended, has let go of the
        lock, and another sync may have it. Raises DatabaseUnavailable.
        """
        if self._lock is None:
            return
        try:
            with self._lock.cursor() as cursor:
                cursor.execute("select 1")
        except psycopg2.Error as error:
            raise DatabaseUnavailable(
                f"The connection to the {self.describe()} that holds the lock was lost "
                f"({_first_line(error)}), so another sync may be at work by now. This "
                "one stopped before it wrote more; run again."
            ) from None

    def destination(self) -> Destination[Any, Any]:
        """dlt's destination for the same database."""
        if self.target == "duckdb":
            return dlt.destinations.duckdb(str(self.path))
        credentials = PostgresCredentials()
        host = os.environ["PGHOST"]
        # A socket folder cannot stand in a URL's host; libpq lets the query win.
        credentials.host = "localhost" if host.startswith("/") else host
        credentials.port = int(os.environ.get("PGPORT") or 5432)
        credentials.username = os.environ["PGUSER"]
        credentials.password = os.environ.get("PGPASSWORD", "")
        credentials.database = os.environ["PGDATABASE"]
        query = {
            "sslmode": os.environ.get("PGSSLMODE"),
            "host": host if host.startswith("/") else None,
            # dlt writes this into a URL, where a space becomes a plus, which libpq does
            # not read as a space; the server takes a tab as well.
            "options": session_options().replace(" ", "\t"),
        }
        credentials.query = {key: value for key, value in query.items() if value}
        return dlt.destinations.postgres(credentials)

    def privileges(self) -> Privileges | None:
        """What the server lets this user do; None for DuckDB, which has no users."""
        if self.target == "duckdb":
            return None
        with self.connect() as connection:
            ((user, superuser, version, may_create),) = connection.execute(
                "select current_user, rolsuper, "
                "current_setting('server_version_num')::integer / 10000, "
                "has_database_privilege(current_database(), 'create') "
                "from pg_roles where rolname = current_user"
            )
            schemas = connection.execute(
                "select nspname, has_schema_privilege(oid, 'create, usage') "
                "from pg_namespace"
            )
            readers = connection.execute(
                "select distinct grantee::regrole::text from pg_namespace, "
                "aclexplode(nspacl) as granted where nspname = 'app' "
                "and grantee not in (0, nspowner) order by 1"
            )
        return Privileges(
            user,
            bool(superuser),
            int(version),
            bool(may_create),
            {str(name): bool(usable) for name, usable in schemas},
            [str(row[0]) for row in readers],
        )

    def holds(self, schema: str, name: str) -> bool:
        """`relation_exists`, without making a database file to find out."""
        if self.path is not None and not self.path.exists():
            return False
        return self.relation_exists(schema, name)

    def relation_exists(self, schema: str, name: str) -> bool:
        """Whether a table or view of that name exists."""
        with self.connect() as connection:
            return bool(
                connection.execute(
                    "select 1 from information_schema.tables "
                    "where table_schema = ? and table_name = ?",
                    (schema, name),
                )
            )


def session_options() -> str:
    """libpq's `options` of our sessions. Those of PGOPTIONS come last, so they win."""
    return f"{_SESSION} {os.environ.get('PGOPTIONS', '')}".strip()


# Who only reads stands in nobody's way but that of a change of the table itself.
_HOLDERS = """
    select
        locks.pid,
        activity.usename,
        nullif(activity.application_name, ''),
        extract(epoch from clock_timestamp() - activity.xact_start),
        string_agg(distinct tables.oid::regclass::text, ', ')
    from pg_locks as locks
    inner join pg_class as tables on tables.oid = locks.relation
    inner join pg_stat_activity as activity on activity.pid = locks.pid
    where
        locks.granted
        and locks.database = (
            select oid from pg_database where datname = current_database()
        )
        and tables.relnamespace::regnamespace::text in (
            'app', 'ops', 'hubspot', 'hubspot_raw', 'staging', 'intermediate'
        )
        and tables.relkind in ('r', 'v', 'p')
        and (
            activity.usename <> current_user
            or activity.application_name not in ('hubsync', 'dbt', '')  -- not our own
        )
    group by 1, 2, 3, 4
    order by bool_or(locks.mode <> 'AccessShareLock') desc, 4 desc nulls last
    limit 3
"""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:300] + "."

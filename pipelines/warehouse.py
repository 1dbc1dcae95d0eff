"""Which database: the only Python that names an engine.

DuckDB is the embedded default, PostgreSQL 15+ is production. Credentials are libpq's
own PG* variables, the ones `profiles.yml` reads, so dlt and dbt cannot disagree.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import dlt
import duckdb
import psycopg2
from dlt.common.destination import Destination
from dlt.destinations.impl.postgres.configuration import PostgresCredentials

from pipelines.errors import AlreadyRunning, ConfigurationError, HubsyncError

Target = Literal["duckdb", "postgres"]

_LOCK_KEY = zlib.crc32(b"hubsync")
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

        Raises HubsyncError where the database cannot be reached.
        """
        with self._turn:
            raw = self._open()
            try:
                if self.target == "duckdb":
                    raw.execute("begin transaction")
                mark = "?" if self.target == "duckdb" else "%s"
                yield Connection(raw, placeholder=mark)
                raw.commit()
            except BaseException:
                # Where the connection is gone, the transaction went with it.
                with suppress(duckdb.Error, psycopg2.Error):
                    raw.rollback()
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

    def _open(self) -> Any:
        try:
            if self.target == "duckdb":
                raw = duckdb.connect(str(self.path))
                raw.execute("set timezone = 'UTC'")
                return raw
            return psycopg2.connect(
                connect_timeout=15,
                application_name="hubsync",
                options="-c timezone=UTC",
            )
        except (duckdb.Error, psycopg2.Error) as error:
            if "lock on file" in str(error):
                raise AlreadyRunning(
                    f"{self.describe()} is open in another program (DuckDB allows "
                    "one at a time). Close it and run again; nothing was changed."
                ) from None
            raise HubsyncError(
                f"Cannot open the {self.describe()}: {str(error).strip()} "
                "Nothing was published."
            ) from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One run at a time per database (DESIGN rule 8).

        Released by the operating system or the server when the process dies, so a
        crash never leaves a lock behind. Raises AlreadyRunning.
        """
        busy = AlreadyRunning(_BUSY.format(where=self.describe()))
        if self.target == "duckdb":
            with open(f"{self.path}.lock", "w") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise busy from None
                yield
            return
        raw = self._open()
        try:
            raw.autocommit = True  # an idle transaction would hold back vacuum
            with raw.cursor() as cursor:
                cursor.execute("select pg_try_advisory_lock(%s)", (_LOCK_KEY,))
                if not cursor.fetchone()[0]:
                    raise busy
            yield
        finally:
            raw.close()

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
        credentials.session_timezone = "UTC"
        query = {
            "sslmode": os.environ.get("PGSSLMODE"),
            "host": host if host.startswith("/") else None,
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

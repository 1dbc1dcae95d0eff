"""What a database or a disk says when it fails, in the words of its reader.

dlt and dbt hand on the server's message as text and drop its code, so the text is what
is looked at; in another language than English it is passed on as it is.
"""

from __future__ import annotations

import errno
import re
import tempfile

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# A pattern of the message, and what it means and asks for.
_MEANINGS = (
    (
        r"lock timeout",
        "Another session holds a lock that this needs, and did not let go of it.",
    ),
    (
        r"statement timeout",
        "The server's statement_timeout is too short for this. Give hubsync's role one "
        "of its own: alter role hubsync_sync set statement_timeout = 0",
    ),
    (
        r"temporary file size exceeds temp_file_limit|max_temp_directory_size",
        "The database may not write temporary files of that size. Raise its limit "
        "(PostgreSQL: temp_file_limit; DuckDB: max_temp_directory_size), then run "
        "again.",
    ),
    (
        r"out of memory error",
        "DuckDB may use no more memory than that. Raise HUBSYNC_DUCKDB_MEMORY "
        "(docs/operating.md), then run again.",
    ),
    (
        r"no space left on device|could not extend file|disk full|disk quota|"
        r"file too large|file size limit",
        "The disk of the database is full. Make room there, then run again.",
    ),
    (
        r"permission denied (?:for|to)",
        "The database user lacks a right; deploy/roles.sql says which it needs, and "
        "hubsync check which are missing.",
    ),
    (
        r"read-only (?:transaction|mode|file system)|permission denied|"
        r"operation not permitted",
        "The database may only be read: PGHOST names a standby, or HUBSYNC_DUCKDB a "
        "file or folder that this user may not write. Name the one to write to.",
    ),
    (
        r"certificate verify failed|root certificate|does not support ssl|"
        r"does not match host name|no encryption",
        "The connection is not encrypted as both sides want it: look at PGSSLMODE and "
        "PGSSLROOTCERT, and at pg_hba.conf on the server.",
    ),
    (
        r"authentication failed|no password supplied|no pg_hba.conf entry|"
        r"(?:role|database) \"[^\"]*\" does not exist",
        "The server does not know this user, password or database: look at PGUSER, "
        "PGPASSWORD and PGDATABASE.",
    ),
    (
        r"unsupported startup parameter",
        "A PgBouncer in between needs `ignore_startup_parameters = "
        "options,extra_float_digits` (docs/operating.md).",
    ),
    (
        r"terminating connection|server closed the connection|connection "
        r"(?:already closed|refused|reset|timed out)|no connection to the server|"
        r"(?:starting up|shutting down|in recovery mode)|could not connect|"
        r"connection to server .* failed|ssl (?:syscall error|connection has been)|"
        r"connection has been closed unexpectedly|has been invalidated",
        "The database cannot be reached, or was restarted meanwhile. What was not "
        "committed is undone; run again when it is back.",
    ),
)


def meaning(message: str) -> str | None:
    """What that message asks for; None where it is none of these troubles."""
    for pattern, text in _MEANINGS:
        if re.search(pattern, message, re.IGNORECASE):
            return text
    return None


def is_full(error: BaseException) -> bool:
    """Whether this machine, not the database, has no room left for a file of ours."""
    code = getattr(error, "errno", None)
    return isinstance(error, OSError) and code in _FULL


def temporary_folder_is_full() -> str:
    """The sentence for a file of ours that had no room."""
    return (
        f"The folder for temporary files, {tempfile.gettempdir()}, is full. Make room "
        "there, or name another folder in TMPDIR, then run again."
    )

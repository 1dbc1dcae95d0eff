"""Files that a run leaves for others: the report and the metrics.

Each is in place at once, and none of them is a reason for the run to fail.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import HubsyncError


@contextlib.contextmanager
def noted(what: str, notes: list[str]) -> Iterator[None]:
    """Raises nothing: that `what` was not written becomes a note that says why."""
    try:
        yield
    except HubsyncError as error:
        notes.append(f"{what} not written: {error}")
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        notes.append(f"{what} not written ({type(error).__name__}: {first}).")


def replace(path: Path, content: bytes, *, named_by: str) -> None:
    """The whole file or none of it, with the rights that the umask gives.

    Raises HubsyncError where it cannot be written; `named_by` says what names another
    place.
    """
    target = path.resolve()  # what a link points to is replaced, not the link
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        new.write_bytes(content)
        new.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise HubsyncError(
            f"{path} cannot be written: {error.strerror}. Name another place with "
            f"{named_by}."
        ) from None

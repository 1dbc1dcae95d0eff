"""What a run does as lines of JSON on stderr, for machines that read logs.

Only on request: `HUBSYNC_LOG=json`. A line has `at`, `event`, the `run_id` where there
is a run yet, and the fields of its event (docs/operating.md lists them).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import UTC, datetime
from typing import Any

from pipelines.redaction import mask

_lock = threading.Lock()  # lines of several threads must not run into each other


def wanted() -> bool:
    """Whether `HUBSYNC_LOG` asks for JSON."""
    return os.environ.get("HUBSYNC_LOG", "").strip().lower() == "json"


def log(event: str, *, run_id: str | None = None, **fields: Any) -> None:
    """Write one line, if wanted. Values that JSON does not know become text."""
    if not wanted():
        return
    line = {"at": datetime.now(UTC).isoformat(), "event": event, "run_id": run_id}
    text = mask(json.dumps({**line, **fields}, ensure_ascii=False, default=str))
    with _lock:
        print(text, file=sys.stderr, flush=True)

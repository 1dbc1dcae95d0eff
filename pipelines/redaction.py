"""No secret in any message, log line, trace or table (DESIGN rule 9).

The code never puts one there; this is the net below it, for texts that libraries make.
"""

from __future__ import annotations

import logging
import os
from typing import Any

_SHORTEST = 6  # shorter "secrets" are placeholders; masking them would garble prose
_known: set[str] = set()  # what log records are searched for


def secrets() -> list[str]:
    """Tokens, database password and webhook address as this process knows them."""
    known = [
        os.environ.get("SOURCES__HUBSPOT__ACCESS_TOKEN"),
        os.environ.get("SOURCES__HUBSPOT__JOURNAL__CLIENT_SECRET"),
        os.environ.get("PGPASSWORD"),
        os.environ.get("HUBSYNC_ALERT_URL"),
    ]
    try:
        import dlt

        known.append(dlt.secrets.get("sources.hubspot.access_token"))
        known.append(dlt.secrets.get("sources.hubspot.journal.client_secret"))
        known.append(dlt.secrets.get("hubsync.alert_url"))
    except Exception:
        pass  # an unreadable secrets.toml has nothing that could leak
    found = {str(value).strip() for value in known if value}
    return sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True)


def mask(text: str) -> str:
    """`text` with every secret replaced by three stars."""
    for secret in secrets():
        text = text.replace(secret, "***")
    return text


def mask_logs() -> None:
    """Let no log record of any library carry a secret, whatever its handler does."""
    _known.update(secrets())
    make = logging.getLogRecordFactory()
    if getattr(make, "masks", False):
        return  # once per process

    def masked(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, text
        # The longest first: one secret may begin with another, and stars in its middle
        # would leave the rest of it readable.
        for secret in sorted(_known, key=len, reverse=True):
            if secret in (message := record.getMessage()):
                record.msg, record.args = message.replace(secret, "***"), ()
            if record.exc_text:
                record.exc_text = record.exc_text.replace(secret, "***")
        return record

    masked.masks = True  # type: ignore[attr-defined]  # marks the factory as ours
    logging.setLogRecordFactory(masked)

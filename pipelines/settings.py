"""Settings of the HubSpot source, read dlt's own way.

The environment wins over `.dlt/secrets.toml` and `.dlt/config.toml`; the variable of
`[sources.hubspot] base_url` is `SOURCES__HUBSPOT__BASE_URL`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import dlt

from pipelines.errors import ConfigurationError

STANDARD_OBJECTS = (
    "companies",
    "contacts",
    "deals",
    "line_items",
    "products",
    "subscriptions",
    "tickets",
)

_NUMBERS = (
    "lookback_minutes",
    "hourly_lookback_minutes",
    "nightly_lookback_minutes",
    "archived_minutes",
    "links_hours",
    "audit_hours",
    "verify_hours",
    "requests_per_ten_seconds",
    "searches_per_second",
    "associations_per_ten_seconds",
    "timeout_seconds",
)

_NO_TOKEN = (
    "No HubSpot access token. Create a service key in HubSpot (Settings > "
    "Integrations > Service keys) with the read scopes listed in the README, then "
    "set SOURCES__HUBSPOT__ACCESS_TOKEN or put it in .dlt/secrets.toml. "
    "Nothing was read or changed."
)


@dataclass(frozen=True)
class Settings:
    """What the source needs to know; durations and rates in the unit of the name.

    Every search reaches `lookback_minutes` behind the last complete one, once an hour
    `hourly_…` and once a day `nightly_…`: HubSpot's index may be late. The other
    durations are the cadences of the checks that no modified date replaces.
    """

    access_token: str
    base_url: str = "https://api.hubapi.com"
    api_version: str = "2026-09"
    portal_id: str | None = None
    objects: tuple[str, ...] = STANDARD_OBJECTS
    custom_objects: tuple[str, ...] | None = None  # None: every one the portal has
    lookback_minutes: float = 15
    hourly_lookback_minutes: float = 120
    nightly_lookback_minutes: float = 48 * 60
    archived_minutes: float = 60
    links_hours: float = 24
    audit_hours: float = 24
    verify_hours: float = 7 * 24
    requests_per_ten_seconds: float = 90
    searches_per_second: float = 5
    associations_per_ten_seconds: float = 95  # the lowest tier allows 100 (4.5)
    timeout_seconds: float = 60
    attempts: int = 6
    journal_client_id: str | None = None  # with its secret: read the journal too
    journal_client_secret: str | None = None

    def __repr__(self) -> str:
        return f"Settings(base_url={self.base_url!r}, access_token='***')"

    @classmethod
    def load(cls) -> Settings:
        """Read settings from environment and `.dlt/`.

        Raises ConfigurationError for a missing token or a value of the wrong form.
        """
        token = _read("access_token", secret=True)
        if not isinstance(token, str) or not token.strip() or token.strip() == "…":
            raise ConfigurationError(_NO_TOKEN)
        token = token.strip()
        if not token.isascii() or any(c.isspace() for c in token):
            raise ConfigurationError(
                "The HubSpot access token contains a space or a character that no "
                "token has; copy it again from HubSpot. Nothing was read or changed."
            )
        base_url = str(_read("base_url") or cls.base_url).rstrip("/")
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise ConfigurationError(
                "SOURCES__HUBSPOT__BASE_URL must look like https://api.hubapi.com, "
                f"not {base_url!r}. Nothing was read or changed."
            )
        portal_id = _read("portal_id")
        client_id = _text("journal.client_id")
        client_secret = _text("journal.client_secret")
        if (client_id is None) != (client_secret is None):
            raise ConfigurationError(
                "SOURCES__HUBSPOT__JOURNAL__CLIENT_ID and "
                "SOURCES__HUBSPOT__JOURNAL__CLIENT_SECRET belong together: set both "
                "or neither. Nothing was read or changed."
            )
        custom = _read("custom_objects")
        return cls(
            access_token=token,
            base_url=base_url,
            api_version=str(_read("api_version") or cls.api_version),
            portal_id=str(portal_id) if portal_id not in (None, "") else None,
            objects=_names(_read("objects"), "objects") or STANDARD_OBJECTS,
            custom_objects=(
                None
                if custom in (None, "", "all")
                else _names(custom, "custom_objects")
            ),
            **{name: _number(name, getattr(cls, name)) for name in _NUMBERS},
            attempts=int(_number("attempts", cls.attempts)),
            journal_client_id=client_id,
            journal_client_secret=client_secret,
        )


def _read(name: str, *, secret: bool = False) -> Any:
    source = dlt.secrets if secret else dlt.config
    try:
        return source[f"sources.hubspot.{name}"]
    except KeyError:
        return None


def _text(name: str) -> str | None:
    """A secret; None where it is missing, empty, or the example's ellipsis."""
    value = _read(name, secret=True)
    text = "" if value is None else str(value).strip()
    return None if text in ("", "…") else text


def _number(name: str, default: float) -> float:
    value = _read(name)
    if value in (None, ""):
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < float("inf"):
        raise ConfigurationError(
            f"SOURCES__HUBSPOT__{name.upper()} must be a number above zero, "
            f"not {value!r}. Nothing was read or changed."
        )
    return number


def _names(value: Any, name: str) -> tuple[str, ...]:
    """A list of names, also as JSON or comma separated (the environment's forms)."""
    if value is None:
        return ()
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                value = json.loads(text)
            except ValueError:
                value = None
        else:
            value = [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ConfigurationError(
            f"SOURCES__HUBSPOT__{name.upper()} must be a list of object names such as "
            '["companies", "deals"]. Nothing was read or changed.'
        )
    return tuple(value)

"""One HTTP client for HubSpot: budgets, bounded retries, errors for the reader.

Facts: hubspot_api.md sections 2.9 (error bodies), 7 (tokens, scopes), 8 (limits).
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlencode

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pipelines.errors import ConfigurationError, HubsyncError, PortalUnavailable
from pipelines.hubspot.budget import Budget
from pipelines.settings import Settings

log = logging.getLogger(__name__)

Kind = Literal[
    "search",
    "list",
    "archived",
    "batch_read",
    "associations",
    "definitions",
    "journal",
    "history",
]
Json = dict[str, Any]

_HEADROOM = 0.95  # of the limit HubSpot states; the rest is for calls that bunch
_TEN_SECONDS = 10.3  # HubSpot's windows, and a little for the network's jitter
_ONE_SECOND = 1.15
_JOURNAL = 500  # per ten seconds: HubSpot sets no limit (9.3), politeness does
_JOURNAL_ATTEMPTS = 3  # a sync does not wait long for what it can do without
_HISTORY_ATTEMPTS = 2  # and publishing waits even less for an explanation
_LONGEST_WAIT = 120.0  # seconds; a longer Retry-After ends the run instead
_EXPIRED_NEVER_VALID_DAYS = 10_000


class NotFound(HubsyncError):
    """404: no such record, or the portal does not have this object type."""


class BadRequest(HubsyncError):
    """400 or 414: the request, not the moment, is wrong."""


class MissingScope(ConfigurationError):
    """403: the token lacks a scope; the message names it and the object."""


def decode_json(content: bytes) -> Any:
    """JSON, or None. Two oddities of text that no database can hold are mended here.

    PostgreSQL has no U+0000 and UTF-8 has no lone surrogates: both become U+FFFD,
    the character that stands for "not representable".
    """
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            answer = json.loads(content)
        except ValueError:
            return None
        return _representable(answer)
    return _representable(answer) if b"\\u0000" in content else answer


def _representable(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\x00", "\ufffd")
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_representable(item) for item in value]
    if isinstance(value, dict):
        return {_representable(k): _representable(v) for k, v in value.items()}
    return value


class HubSpot:
    """Calls of one portal. Thread-safe; `calls` counts every request sent, by kind."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.calls: Counter[str] = Counter()
        self.rate_limited = 0  # 429 answers met; zero in normal work
        self.server_time: datetime | None = None  # HubSpot's clock, newest answer
        self._heard_at = 0.0  # when that answer came, by the clock that never steps
        # What HubSpot allows the account in a day, and what is left of it.
        self.daily_calls: tuple[int | None, int | None] = (None, None)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._general = Budget(int(settings.requests_per_ten_seconds), _TEN_SECONDS)
        self._search = Budget(int(settings.searches_per_second), _ONE_SECOND)
        # Associations have a limit of their own, exempt from the general one (4.5), and
        # no headers that would tell it.
        self._associations = Budget(
            int(settings.associations_per_ten_seconds), _TEN_SECONDS
        )
        self._journal = Budget(_JOURNAL, _TEN_SECONDS)

    # -- calls ---------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None,
        kind: Kind,
        decode: Callable[[bytes], Any] = decode_json,
    ) -> Json:
        return self._call("GET", path, kind, params=params, decode=decode)

    def post(self, path: str, body: Json, kind: Kind) -> Json:
        return self._call("POST", path, kind, body=body)

    def call_as(
        self,
        token: str | None,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Json:
        """A call of the journal's app: with its token or, for None, without any.

        `path` may be a whole URL; its query, which may be a permission, is in no
        message. An answer without content (204) is {}. Raises as other calls do.
        """
        headers = {"Authorization": None if token is None else f"Bearer {token}"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self._call(
            method,
            path,
            "journal",
            params=params,
            body=urlencode(form) if form is not None else body,
            headers=headers,
        )

    def _call(
        self,
        method: str,
        path: str,
        kind: Kind,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | str | None = None,
        headers: Mapping[str, str | None] | None = None,
        decode: Callable[[bytes], Any] = decode_json,
    ) -> Json:
        """The decoded answer of one call, retried while the fault is HubSpot's.

        Raises ConfigurationError (401, 403), NotFound (404), BadRequest (400, 414),
        PortalUnavailable (retries exhausted, daily limit, migration).
        """
        attempt = 0
        limited = 0
        most = self.settings.attempts
        if kind == "journal":
            most = min(most, _JOURNAL_ATTEMPTS)
        if kind == "history":
            most = min(most, _HISTORY_ATTEMPTS)
        shown = path.partition("?")[0]
        while True:
            self._budget(kind).take()
            with self._lock:
                self.calls[kind] += 1
            fault, wait = self._attempt(
                method, path, kind, params, body, headers, decode, attempt
            )
            if isinstance(fault, dict):
                return fault
            if fault.startswith("429"):
                limited += 1  # waiting in line is no failure; bounded all the same
                exhausted = limited >= 4 * most
            else:
                attempt += 1
                exhausted = attempt >= most
            if exhausted:
                raise PortalUnavailable(
                    f"HubSpot did not answer {method} {shown} after "
                    f"{attempt + limited} tries: {fault}. Nothing was published and "
                    "nothing is lost; the next sync goes on from here."
                )
            log.info("%s %s: %s; again in %.1f s", method, shown, fault, wait)
            time.sleep(wait)

    def _attempt(
        self,
        method: str,
        path: str,
        kind: Kind,
        params: Mapping[str, str] | None,
        body: Json | str | None,
        headers: Mapping[str, str | None] | None,
        decode: Callable[[bytes], Any],
        attempt: int,
    ) -> tuple[Json | str, float]:
        """The answer, or a fault in words and the seconds to wait before the next."""
        backoff = min(0.5 * 2**attempt, 20.0) * random.uniform(0.7, 1.3)
        try:
            response = self._session().request(
                method,
                path if path.startswith("http") else self.settings.base_url + path,
                params=params,
                data=orjson.dumps(body) if isinstance(body, dict) else body,
                headers=headers,
                timeout=(10, self.settings.timeout_seconds),
                allow_redirects=False,
                stream=True,
            )
            # Whole at once: requests itself would put it together from 10 kB pieces.
            content: bytes = response.raw.read(decode_content=True)
            response.raw.release_conn()
        except requests.Timeout:
            return "no answer in time", backoff
        except ReadTimeoutError:
            return "no answer in time", backoff
        except (requests.RequestException, HTTPError) as error:
            return f"connection failed ({type(error).__name__})", backoff
        if not path.startswith("http"):
            self._note(response, kind)
        status = response.status_code
        if status == 204 and kind == "journal":
            return {}, 0.0
        if status in (200, 201, 207):
            answer = decode(content)
            if isinstance(answer, dict):
                return answer, 0.0
            return f"answer {status} was not complete JSON", backoff
        decoded = decode_json(content)
        told: Json = decoded if isinstance(decoded, dict) else {}
        if status == 429:
            return self._limited(response, told, kind)
        if status in (423, 477) or status >= 500:
            return self._later(response, status, backoff)
        raise _refusal(status, method, path.partition("?")[0], told)

    def _limited(
        self, response: requests.Response, error: Json, kind: Kind
    ) -> tuple[str, float]:
        with self._lock:
            self.rate_limited += 1
        policy = str(error.get("policyName") or error.get("message") or "").lower()
        if "daily" in policy:
            raise PortalUnavailable(
                "HubSpot's daily request limit of this account is used up; it resets "
                "at midnight in the account's time zone. Nothing was published and "
                "nothing is lost; a sync after that goes on from here."
            )
        default = 1.0 if kind == "search" else 10.0
        wait = min(_retry_after(response) or default, _LONGEST_WAIT)
        self._budget(kind).pause(wait)
        return "429 too many requests", wait * random.uniform(1.0, 1.2)

    def _later(
        self, response: requests.Response, status: int, backoff: float
    ) -> tuple[str, float]:
        asked = _retry_after(response)
        if status == 477 and (asked or 0) > _LONGEST_WAIT:
            raise PortalUnavailable(
                "HubSpot is moving this account between data centres and asks to "
                f"come back in {asked:.0f} seconds. Nothing was published and "
                "nothing is lost."
            )
        least = 2.0 if status == 423 else 0.0  # the lock lasts two seconds (2.6)
        return f"HTTP {status}", max(min(asked or 0, _LONGEST_WAIT), backoff, least)

    # -- connection, budgets ---------------------------------------------------

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a stray .netrc must not replace the token
            session.proxies = requests.utils.get_environ_proxies(self.settings.base_url)
            session.mount("http://", HTTPAdapter(pool_maxsize=2))
            session.mount("https://", HTTPAdapter(pool_maxsize=2))
            session.headers.update(
                {
                    "Authorization": f"Bearer {self.settings.access_token}",
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    "User-Agent": "hubsync",
                }
            )
            self._local.session = session
        return session

    def _budget(self, kind: Kind) -> Budget:
        if kind == "search":
            return self._search
        if kind == "journal":
            return self._journal
        return self._associations if kind == "associations" else self._general

    def _note(self, response: requests.Response, kind: Kind) -> None:
        """Learn HubSpot's clock, its limit, and how much of it others have used."""
        headers = response.headers
        try:
            now = parsedate_to_datetime(headers.get("Date", ""))
            self.server_time = now.astimezone(UTC)
            self._heard_at = time.monotonic()
        except (TypeError, ValueError):
            pass
        if kind in ("search", "associations", "journal"):
            return
        with suppress(KeyError, ValueError):  # OAuth apps are not told
            self.daily_calls = (
                int(headers["X-HubSpot-RateLimit-Daily"]),
                int(headers["X-HubSpot-RateLimit-Daily-Remaining"]),
            )
        try:
            limit = int(headers["X-HubSpot-RateLimit-Max"])
            seconds = int(headers["X-HubSpot-RateLimit-Interval-Milliseconds"]) / 1000
            remaining = int(headers["X-HubSpot-RateLimit-Remaining"])
        except (KeyError, ValueError):
            return
        if limit > 0 and seconds > 0:
            self._general.set_calls(int(limit * _HEADROOM * 10 / seconds))
            if remaining < limit * (1 - _HEADROOM) / 2:  # someone shares this token
                self._general.pause(seconds / 10)

    def now(self) -> datetime:
        """HubSpot's clock at its newest answer, so never ahead of it; else ours."""
        return self.server_time or datetime.now(UTC)

    def instant(self) -> datetime:
        """HubSpot's clock now: its newest answer and the seconds since. This machine's
        own clock may be wrong, or step while a run is at work."""
        if self.server_time is None:
            return datetime.now(UTC)
        return self.server_time + timedelta(seconds=time.monotonic() - self._heard_at)


def _retry_after(response: requests.Response) -> float | None:
    try:
        return max(float(response.headers["Retry-After"]), 0.0)
    except (KeyError, ValueError):
        return None


def _refusal(status: int, method: str, path: str, error: Json) -> HubsyncError:
    """The exception for an answer that trying again would not change."""
    message = str(error.get("message") or "")[:500]
    reference = error.get("correlationId")
    trace = f" (HubSpot reference {reference})" if reference else ""
    if status == 401:
        return ConfigurationError(f"{_token_problem(error)}{trace}")
    if status == 403:
        return _missing_scope(path, error, trace)
    if status == 404:
        return NotFound(f"HubSpot does not know {path}{trace}.")
    if status in (400, 409, 414):
        return BadRequest(
            f"HubSpot refused {method} {path} with {status}: {message}{trace}"
        )
    return PortalUnavailable(
        f"HubSpot answered {method} {path} with {status}: {message or 'no reason'}"
        f"{trace}. Nothing was published."
    )


def _token_problem(error: Json) -> str:
    """Expired or wrong (section 7: a malformed token "expired" 20,000 days ago)."""
    expired = str(error.get("category", "")) == "EXPIRED_AUTHENTICATION"
    if expired:
        times = (error.get("context") or {}).get("expire time") or [""]
        try:
            moment = datetime.fromisoformat(str(times[0]).replace("Z", "+00:00"))
            age = (datetime.now(UTC) - moment).days
        except (ValueError, TypeError):
            age = 0
        if age < _EXPIRED_NEVER_VALID_DAYS:
            return (
                "The HubSpot access token has expired. Create or refresh it and set "
                "SOURCES__HUBSPOT__ACCESS_TOKEN; nothing was published."
            )
    return (
        "HubSpot does not accept the access token (401). Check "
        "SOURCES__HUBSPOT__ACCESS_TOKEN or .dlt/secrets.toml: the whole token, of "
        "this account, not revoked. Nothing was published."
    )


def _missing_scope(path: str, error: Json, trace: str) -> MissingScope:
    scopes: list[str] = []
    for detail in error.get("errors") or []:
        context = detail.get("context") or {}
        scopes += context.get("requiredGranularScopes") or []
        scopes += context.get("requiredScopes") or []
    named = " or ".join(dict.fromkeys(scopes)) or "one more scope"
    subject = object_of(path)
    return MissingScope(
        f"The HubSpot token may not read {subject}: it needs the scope {named}. Add "
        f"it to the service key, or leave {subject} out in .dlt/config.toml "
        f"[sources.hubspot]. Nothing was published{trace}."
    )


def object_of(path: str) -> str:
    """The object type a path is about, for messages: `/crm/objects/…/deals/search`."""
    parts = [part for part in path.split("/") if part]
    if "owners" in parts:
        return "owners"
    if "schemas" in parts:
        return "custom objects (schemas)"
    for stem in ("objects", "properties", "pipelines", "associations"):
        if stem in parts:
            rest = parts[parts.index(stem) + 2 :]
            if stem == "associations" and len(rest) > 1:
                return f"associations of {rest[0]} with {rest[1]}"
            if rest:
                return rest[0]
    return path

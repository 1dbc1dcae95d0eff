"""Rate limits: rolling ten seconds, search per second, associations, daily (8)."""

from __future__ import annotations

import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.errors import ApiError


@dataclass
class Limits:
    """Requests allowed; off unless enabled, since tests rarely want to wait.

    `per_ten_seconds` is per token, the others per portal. `retry_after` adds that
    header (whole seconds) to 429s, which HubSpot does only sometimes.
    """

    enabled: bool = False
    per_ten_seconds: int = 190
    search_per_second: int = 5
    associations_per_ten_seconds: int = 150
    daily: int = 625_000
    retry_after: int | None = None
    seconds: Callable[[], float] = time.monotonic
    used_today: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    _day: str = ""
    _windows: dict[str, deque[float]] = field(default_factory=dict)

    def check(self, token: str, endpoint: str, day: str) -> dict[str, str]:
        """Count one request and return the headers of its answer.

        `day` is today's date in the portal's time zone. Raises ApiError (429).
        """
        if day != self._day:
            self._day, self.used_today = day, 0
        if not self.enabled:
            self.used_today += 1
            return {}
        if self.used_today >= self.daily:
            raise self._refuse("DAILY")
        if endpoint == "search":
            if self._full("search", 1.0, self.search_per_second) is None:
                raise self._refuse("SECONDLY")
            self.used_today += 1
            return {}
        if endpoint == "associations":
            name, most = "associations", self.associations_per_ten_seconds
        else:
            name, most = f"token {token}", self.per_ten_seconds
        left = self._full(name, 10.0, most)
        if left is None:
            raise self._refuse("TEN_SECONDLY_ROLLING")
        self.used_today += 1
        return {
            "X-HubSpot-RateLimit-Daily": str(self.daily),
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.daily - self.used_today),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Max": str(most),
            "X-HubSpot-RateLimit-Remaining": str(left),
        }

    def _full(self, name: str, width: float, most: int) -> int | None:
        """Requests left in the rolling window after this one; None when none were."""
        window = self._windows.setdefault(name, deque())
        now = self.seconds()
        while window and window[0] <= now - width:
            window.popleft()
        if len(window) >= most:
            return None
        window.append(now)
        return most - len(window)

    def _refuse(self, policy: str) -> ApiError:
        self.refused[policy] += 1
        return too_many(policy, self.retry_after)


def too_many(policy: str, retry_after: int | None = None) -> ApiError:
    """One of HubSpot's three 429 answers; their bodies really differ."""
    body = {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
    }
    if policy == "DAILY":
        body["requestId"] = str(uuid.uuid4())
    elif policy == "TEN_SECONDLY_ROLLING":
        body["groupName"] = "publicapi:private_app-api-calls-ten-secondly:1512050:1"
    else:
        del body["errorType"], body["policyName"]
        body["category"] = "RATE_LIMITS"
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return ApiError(429, body, headers)

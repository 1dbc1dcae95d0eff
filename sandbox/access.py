"""Bearer tokens and scopes (hubspot_api.md 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sandbox.clock import iso, milliseconds
from sandbox.errors import ApiError, error


@dataclass(frozen=True)
class Token:
    """A bearer token; `scopes` None grants everything."""

    name: str
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None


def authenticate(header: str | None, tokens: dict[str, Token], now: int) -> Token:
    """The token of an Authorization header. Raises ApiError 401.

    A token nobody knows is told that it expired in 1970, as HubSpot does.
    """
    scheme, _, name = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not name.strip():
        raise error(
            401,
            "INVALID_AUTHENTICATION",
            "Authentication credentials not found. This API supports OAuth 2.0 "
            "authentication and you can find more details at "
            "https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        )
    token = tokens.get(name.strip())
    if token is None:
        raise _expired(now, 0)
    if token.expires_at is not None and milliseconds(token.expires_at) <= now:
        raise _expired(now, milliseconds(token.expires_at))
    return token


def _expired(now: int, then: int) -> ApiError:
    seconds = (now - then) // 1000
    ago = f"{seconds // 86400} day(s)" if seconds >= 86400 else f"{seconds} second(s)"
    return error(
        401,
        "EXPIRED_AUTHENTICATION",
        f"The OAuth token used to make this call expired {ago} ago.",
        context={"expire time": [iso(then)]},
    )


def require(token: Token, *alternatives: list[str]) -> None:
    """Each list needs at least one granted scope. Raises ApiError 403."""
    if token.scopes is None:
        return
    for scopes in alternatives:
        if token.scopes.isdisjoint(scopes):
            raise error(
                403,
                "MISSING_SCOPES",
                "This app hasn't been granted all required scopes to make this call. "
                "Read more about required scopes here: "
                "https://developers.hubspot.com/scopes.",
                errors=[
                    {
                        "message": "One or more of the following scopes are required.",
                        "context": {"requiredGranularScopes": scopes},
                    }
                ],
                links={"scopes": "https://developers.hubspot.com/scopes"},
            )

"""Who may call, how often, and what goes wrong (hubspot_api.md 7, 8, 12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox import Faults, Limits, Portal, Server

Api = Any
DEALS = "/crm/objects/2026-09/deals"
SEARCH = f"{DEALS}/search"


class Seconds:
    """Time for the limits, moved by the test."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def bearer(server: Server, path: str, token: str | None) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.get(server.url + path, headers=headers, timeout=20)


def test_a_missing_a_wrong_and_an_expired_token_are_told_apart(
    portal: Portal, server: Server
) -> None:
    missing = bearer(server, DEALS, None)
    assert missing.status_code == 401
    assert missing.json()["category"] == "INVALID_AUTHENTICATION"

    wrong = bearer(server, DEALS, "nonsense").json()
    assert wrong["category"] == "EXPIRED_AUTHENTICATION"
    assert wrong["context"] == {"expire time": ["1970-01-01T00:00:00.000Z"]}

    portal.clock.set(datetime(2026, 5, 1, 0, 1, 15, tzinfo=UTC))
    portal.add_token("old", expires_at=datetime(2026, 5, 1, tzinfo=UTC))
    expired = bearer(server, DEALS, "old").json()
    assert "expired 75 second(s) ago" in expired["message"]


@pytest.mark.parametrize(
    ("path", "scope", "status"),
    [
        (DEALS, "crm.objects.deals.read", 200),
        ("/crm/objects/2026-09/tickets", "tickets", 200),
        ("/crm/objects/2026-09/line_items", "e-commerce", 200),
        ("/crm/properties/2026-09/deals", "crm.schemas.deals.read", 200),
        ("/crm/pipelines/2026-09/deals", "crm.objects.deals.read", 200),
        ("/crm/owners/2026-09", "crm.objects.owners.read", 200),
        ("/crm-object-schemas/2026-09/schemas", "crm.schemas.custom.read", 200),
        ("/crm/objects/2026-09/licenses", "crm.objects.custom.read", 200),
        ("/account-info/2026-09/details", "oauth", 200),
        (DEALS, "crm.objects.companies.read", 403),
        (
            "/crm/associations/2026-09/deals/companies/labels",
            "crm.objects.deals.read",
            403,
        ),
        ("/crm/owners/2026-09", "crm.objects.deals.read", 403),
    ],
)
def test_a_scope_opens_what_it_names(
    portal: Portal, server: Server, path: str, scope: str, status: int
) -> None:
    portal.add_schema("licenses")
    portal.add_token("narrow", scopes=[scope])
    assert bearer(server, path, "narrow").status_code == status


def test_a_missing_scope_is_named(portal: Portal, server: Server) -> None:
    portal.add_token("narrow", scopes=["crm.objects.deals.read"])
    refused = requests.post(
        server.url + DEALS,
        json={},
        headers={"Authorization": "Bearer narrow"},
        timeout=20,
    )
    assert refused.status_code == 403
    body = refused.json()
    assert body["category"] == "MISSING_SCOPES"
    (problem,) = body["errors"]
    assert problem["context"] == {"requiredGranularScopes": ["crm.objects.deals.write"]}


def test_the_account_says_who_it_is_and_what_is_left(portal: Portal, api: Api) -> None:
    details = api.get("/account-info/2026-09/details")
    assert details["portalId"] == portal.portal_id
    assert details["uiDomain"] == "app.hubspot.com"
    portal.clock.set(datetime(2026, 1, 5, 12, tzinfo=UTC))
    (usage,) = api.get("/account-info/v3/api-usage/daily/private-apps")["results"]
    assert usage["usageLimit"] == 625_000
    assert usage["resetsAt"] == "2026-01-06T05:00:00.000Z"  # midnight in New York


def test_ten_seconds_hold_so_many_requests(portal: Portal, api: Api) -> None:
    seconds = Seconds()
    portal.limits = Limits(enabled=True, per_ten_seconds=2, seconds=seconds)
    first, second, third = (api("GET", DEALS) for _ in range(3))
    assert first.headers["X-HubSpot-RateLimit-Max"] == "2"
    assert first.headers["X-HubSpot-RateLimit-Remaining"] == "1"
    assert first.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert second.headers["X-HubSpot-RateLimit-Daily"] == "625000"
    assert second.headers["X-HubSpot-RateLimit-Daily-Remaining"] == "624998"
    assert third.status_code == 429
    body = third.json()
    assert body["policyName"] == "TEN_SECONDLY_ROLLING"
    assert body["errorType"] == "RATE_LIMIT"
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    seconds.now += 10
    assert api("GET", DEALS).status_code == 200


def test_search_has_a_limit_of_its_own_and_no_headers(portal: Portal, api: Api) -> None:
    seconds = Seconds()
    portal.limits = Limits(
        enabled=True,
        per_ten_seconds=1,
        search_per_second=2,
        seconds=seconds,
        retry_after=1,
    )
    answers = [api("POST", SEARCH, {}) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert "X-HubSpot-RateLimit-Max" not in answers[0].headers
    assert answers[2].json()["message"] == "You have reached your secondly limit."
    assert answers[2].json()["category"] == "RATE_LIMITS"
    assert answers[2].headers["Retry-After"] == "1"
    seconds.now += 1
    assert api("POST", SEARCH, {}).status_code == 200


def test_associations_have_a_bucket_of_their_own(portal: Portal, api: Api) -> None:
    portal.limits = Limits(
        enabled=True,
        per_ten_seconds=1,
        associations_per_ten_seconds=1,
        seconds=Seconds(),
    )
    path = "/crm/associations/2026-09/deals/companies/batch/read"
    body = {"inputs": [{"id": "1"}]}
    statuses = [api("GET", DEALS).status_code, api("POST", path, body).status_code]
    statuses += [api("GET", DEALS).status_code, api("POST", path, body).status_code]
    assert statuses == [200, 207, 429, 429]


def test_the_daily_limit_lasts_until_midnight_of_the_account(
    portal: Portal, api: Api
) -> None:
    portal.clock.set(datetime(2026, 1, 5, 4, 59, tzinfo=UTC))  # 23:59 in New York
    portal.limits = Limits(enabled=True, daily=1)
    api.get(DEALS)
    refused = api.get(DEALS, 429)
    assert refused["policyName"] == "DAILY"
    assert refused["message"] == "You have reached your daily limit."
    portal.clock.advance(60)
    api.get(DEALS)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524])
def test_a_server_error_is_an_html_page(portal: Portal, api: Api, status: int) -> None:
    portal.faults.next(status, path_contains="/deals")
    assert api("GET", "/crm/objects/2026-09/companies").status_code == 200
    failed = api("GET", DEALS)
    assert failed.status_code == status
    assert failed.headers["Content-Type"].startswith("text/html")
    assert api("GET", DEALS).status_code == 200


def test_a_lock_a_migration_and_429s_answer_in_json(portal: Portal, api: Api) -> None:
    for kind, status in (
        ("423", 423),
        ("477", 477),
        ("429_daily", 429),
        ("429_secondly", 429),
        ("429_ten_secondly", 429),
    ):
        portal.faults.next(kind)
        failed = api("GET", DEALS)
        assert failed.status_code == status
        assert failed.json()["status"] == "error"
        assert ("Retry-After" in failed.headers) is (kind == "477")


@pytest.mark.parametrize("kind", ["reset", "reset_after", "timeout", "cut"])
def test_a_connection_may_break(portal: Portal, api: Api, kind: str) -> None:
    portal.faults.timeout_seconds = 0.05
    portal.faults.next(kind)
    with pytest.raises(
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    ):
        api("GET", DEALS)
    assert api("GET", DEALS).status_code == 200


def test_a_body_may_be_wrong(portal: Portal, api: Api) -> None:
    portal.faults.next("truncated")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        api("GET", DEALS).json()
    portal.faults.next("html")
    page = api("GET", DEALS)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    portal.faults.next("wrong_type")
    assert api("GET", DEALS).headers["Content-Type"] == "text/plain"
    portal.faults.slow_seconds = 0.01
    portal.faults.next("slow")
    assert api("GET", DEALS).json() == {"results": []}


def test_a_record_may_appear_on_two_pages(portal: Portal, api: Api) -> None:
    ids = [portal.create("deals") for _ in range(4)]
    portal.faults.next("duplicate", path_contains="after=")
    first = api.get(f"{DEALS}?limit=2")
    second = api.get(f"{DEALS}?limit=2&after={first['paging']['next']['after']}")
    assert [one["id"] for one in second["results"]] == ids[1:]


def test_a_search_may_find_nothing_for_a_moment(portal: Portal, api: Api) -> None:
    portal.create("deals")
    portal.faults.next("empty_search")
    api.get(DEALS)  # not a search, so not hit
    assert api.post(SEARCH, {}) == {"total": 0, "results": []}
    assert api.post(SEARCH, {})["total"] == 1


def test_aimed_faults_skip_and_repeat(portal: Portal, api: Api) -> None:
    portal.faults.next(503, times=2, skip=1)
    assert [api("GET", DEALS).status_code for _ in range(4)] == [200, 503, 503, 200]
    with pytest.raises(ValueError, match="unknown fault"):
        portal.faults.next("earthquake")


def test_random_faults_repeat_with_their_seed_and_never_block_a_patient_client(
    portal: Portal, api: Api
) -> None:
    runs = []
    for _ in range(2):
        portal.faults = Faults(seed=7, rate=0.9, kinds=["500", "503"], most_in_a_row=2)
        runs.append([api("GET", DEALS).status_code for _ in range(40)])
    assert runs[0] == runs[1]
    text = "".join("." if status == 200 else "x" for status in runs[0])
    assert "xx" in text
    assert "xxx" not in text


def test_faults_can_be_ordered_over_http(portal: Portal, api: Api) -> None:
    api.post("/_sandbox/faults", {"kind": "503", "times": 2})
    assert [api("GET", DEALS).status_code for _ in range(3)] == [503, 503, 200]
    api.post("/_sandbox/faults", {"rate": 1.0, "kinds": ["500"]})
    assert api("GET", DEALS).status_code == 500
    api.post("/_sandbox/faults", {})
    assert api("GET", DEALS).status_code == 200
    api.post("/_sandbox/faults", {"kind": "earthquake"}, 400)

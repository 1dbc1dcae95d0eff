"""A portal on HTTP, a plain client and HubSpot's own client, fresh for every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hubspot import Client

from sandbox import Portal, Server, serve


class Api:
    """A plain HTTP client of one server; paths are given in full."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self.session = requests.Session()
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def __call__(
        self, method: str, path: str, body: Any = None, **more: Any
    ) -> requests.Response:
        return self.session.request(
            method, self.url + path, json=body, timeout=20, **more
        )

    def get(self, path: str, status: int = 200) -> Any:
        answer = self("GET", path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = self("POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def portal() -> Portal:
    return Portal()


@pytest.fixture
def server(portal: Portal) -> Iterator[Server]:
    with serve(portal) as running:
        yield running


@pytest.fixture
def api(server: Server, portal: Portal) -> Api:
    return Api(server.url, portal.token)


@pytest.fixture
def hubspot(server: Server, portal: Portal) -> Any:
    return Client.create(access_token=portal.token, host=server.url)

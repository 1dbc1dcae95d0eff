"""A portal of many wide contacts whose pages cost next to nothing to serve.

Each record is rendered once, by the sandbox itself; a page of the list is a hundred of
them put together. So what is measured against HubSpot's limit, or without one, is the
reader's time and not ours.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import orjson

from bench.portal import FILLED, LONG_AGO, TOKEN
from sandbox import Portal
from sandbox.api import Request
from sandbox.errors import ApiError
from sandbox.records_api import render
from sandbox.server import JSON, Handler, Server

PAGE = 100


class Rendered(Mapping[str, str]):
    """A record's values, decoded when somebody asks: a tenth of a dict's memory."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def _values(self) -> dict[str, str]:
        values: dict[str, str | None] = orjson.loads(self.body)["properties"]
        return {name: text for name, text in values.items() if text is not None}

    def __getitem__(self, name: str) -> str:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())


def wide_portal(contacts: int) -> tuple[Portal, list[bytes]]:
    """Contacts with FILLED values each, and what the list shows of each."""
    made = Portal(token=TOKEN)
    names = [f"field_{number:02}" for number in range(FILLED - 3)]
    for name in names:
        made.add_property("contacts", {"name": name, "type": "string"})
    kind = made.kind("contacts")
    request = Request(made, "GET", "", b"", made.tokens[TOKEN], "", (), {})
    asked = list(made.live_properties("contacts"))
    table = made.tables["contacts"]
    bodies = []
    for number in range(contacts):
        values = {name: f"What person {number} wrote into {name}" for name in names}
        person = {"email": f"p{number}@example.com", "firstname": f"P {number}"}
        made.insert("contacts", {**values, **person}, LONG_AGO, LONG_AGO + number)
        record = table.live[-1]
        body = orjson.dumps(render(request, kind, record, asked))
        bodies.append(body)
        kept: Any = Rendered(body)
        record.properties = record.indexed = kept
    return made, bodies


class WideHandler(Handler):
    """Lists of live contacts from the bodies; the sandbox answers everything else."""

    bodies: ClassVar[list[bytes]] = []
    ids: ClassVar[list[int]] = []

    def _answer(
        self,
        path: tuple[str, ...],
        query: dict[str, list[str]],
        kind: str,
        raw: bytes,
        fault: str | None,
    ) -> int:
        limits = self.server.portal.limits
        if path[:2] == ("_sandbox", "limits"):
            limits.enabled = bool(orjson.loads(raw)["enabled"])
            told = orjson.dumps({"refused": limits.refused.total()})
            limits.refused.clear()
            return self._send(200, told, JSON, {})
        listed = self.command == "GET" and path in (
            ("objects", "contacts"),
            ("objects", "0-1"),
        )
        if not listed or query.get("archived") == ["true"]:
            return super()._answer(path, query, kind, raw, fault)
        with self.server.portal.lock:
            try:
                headers = limits.check(TOKEN, kind, self.server.portal.today())
            except ApiError as refused:
                told = orjson.dumps(refused.body)
                return self._send(refused.status, told, JSON, refused.headers)
        begin = bisect_left(self.ids, int((query.get("after") or ["0"])[0]))
        end = begin + PAGE
        body = b'{"results":[' + b",".join(self.bodies[begin:end]) + b"]"
        if end < len(self.ids):
            body += b',"paging":{"next":{"after":"%d"}}' % (self.ids[end - 1] + 1)
        return self._send(200, body + b"}", JSON, headers)


@contextmanager
def serve_wide(contacts: int) -> Iterator[str]:
    """Serve it; the URL. Limits are off until POST /_sandbox/limits."""
    made, bodies = wide_portal(contacts)
    made.limits.enabled = False
    WideHandler.bodies = bodies
    WideHandler.ids = [record.id for record in made.tables["contacts"].live]
    server = Server(made)
    server.RequestHandlerClass = WideHandler
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()

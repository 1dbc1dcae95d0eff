"""The portal over HTTP/1.1 on 127.0.0.1: one thread per kept-alive connection."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import orjson

from sandbox import (
    admin_api,
    associations_api,
    definitions_api,
    journal_api,
    records_api,
)
from sandbox.access import Token, authenticate
from sandbox.api import Answer, Request, endpoint, find, normalise, route
from sandbox.errors import ApiError, error
from sandbox.limits import too_many
from sandbox.portal import Portal

LONGEST_TARGET = 16_000  # characters of path and query; more is a 414
HANDLERS = (admin_api, associations_api, definitions_api, journal_api, records_api)
OPEN = ("oauth", "presigned")  # their body or their URL is the permission

JSON = "application/json;charset=utf-8"
HTML = "text/html;charset=utf-8"
PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body>{0}</body></html>"
REASONS = {
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
    "504": "Gateway Time-out",
    "524": "A timeout occurred",
}
POLICIES = {
    "429_daily": "DAILY",
    "429_ten_secondly": "TEN_SECONDLY_ROLLING",
    "429_secondly": "SECONDLY",
}


class Dropped(Exception):
    """The connection ends without a whole answer."""


class Server(ThreadingHTTPServer):
    """A running portal. `calls` counts by endpoint class, `requests` keeps them all.

    `requests` holds (method, path with query, status); status 0 means that the
    connection was dropped. `/_sandbox` requests are in neither.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, portal: Portal, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.portal = portal
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, str, int]] = []
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reset_counts(self) -> None:
        self.calls.clear()
        self.requests.clear()

    def stop(self) -> None:
        """End at once, kept-alive connections included."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            _close(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a bug of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is one send; waiting helps nobody
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in `Server.requests`, not printed."""

    def _serve(self) -> None:
        server, portal = self.server, self.server.portal
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        path, query = normalise(self.path)
        kind = endpoint(self.command, path)
        counted = path[:1] != ("_sandbox",)
        status = 0
        try:
            if counted:
                server.calls[kind] += 1
                for hook in portal.before_request:
                    hook(self.command, self.path)
                if portal.latency_seconds:
                    server.stopping.wait(portal.latency_seconds)
            fault = portal.faults.draw(self.path, kind) if counted else None
            status = self._answer(path, query, kind, raw, fault)
        except (Dropped, ConnectionError):
            self.close_connection = True
        finally:
            if counted:
                server.requests.append((self.command, self.path, status))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(
        self,
        path: tuple[str, ...],
        query: dict[str, list[str]],
        kind: str,
        raw: bytes,
        fault: str | None,
    ) -> int:
        portal, faults = self.server.portal, self.server.portal.faults
        headers: dict[str, str] = {}
        if len(self.path) > LONGEST_TARGET:
            return self._page(414, "URI Too Long")
        if fault == "reset":
            self._reset()
        if fault == "timeout":
            self.server.stopping.wait(faults.timeout_seconds)
            _close(self.connection)
            raise Dropped
        if fault == "slow":
            self.server.stopping.wait(faults.slow_seconds)
        if fault == "html":
            return self._page(200, "HubSpot is being updated")
        if fault is not None and fault.isdigit() and fault not in ("423", "477"):
            return self._page(int(fault), REASONS.get(fault, "Error"))
        try:
            if fault is not None:
                _refuse(fault, faults.retry_after)
            with portal.lock:
                portal.settle()
                found = find(self.command, path) if path else None
                if found is None:
                    return self._page(404, "Page not found")
                token = self._token(path)
                if kind != "journal" and path[:1] != ("_sandbox",):
                    headers = portal.limits.check(token.name, kind, portal.today())
                request = Request(
                    portal=portal,
                    method=self.command,
                    target=self.path,
                    raw=raw,
                    token=token,
                    base_url=self.server.url,
                    route=path,
                    query=query,
                    fault=fault,
                    arguments=found[1],
                )
                status, answer = self._handle(found[0], request, token)
                body = b"" if answer is None else orjson.dumps(answer)
        except ApiError as problem:
            status, body = problem.status, orjson.dumps(problem.body)
            headers = {**headers, **problem.headers}
        if fault == "reset_after":
            self._reset()
        if fault == "truncated":
            body = body[: len(body) // 2]
        type_ = "text/plain" if fault == "wrong_type" else JSON
        cut = len(body) // 2 if fault == "cut" else None
        return self._send(status, body, type_, headers, cut)

    def _token(self, path: tuple[str, ...]) -> Token:
        """Who asks. Raises ApiError 401, and 400 where a permission comes twice."""
        given = self.headers.get("Authorization")
        if path[0] not in OPEN:
            portal = self.server.portal
            return authenticate(given, portal.tokens, portal.clock.now_ms())
        if path[0] == "presigned" and given is not None:
            raise error(
                400, "InvalidArgument", "Only one auth mechanism allowed; see the URL"
            )
        return Token("", frozenset())

    def _handle(self, handler: Any, request: Request, token: Token) -> Answer:
        if request.route[:2] == ("_sandbox", "calls"):
            return calls(self.server, request)
        try:
            return cast(Answer, handler(request))
        except ApiError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            # A body of the wrong shape; HubSpot says no more than this either.
            raise error(
                400,
                "VALIDATION_ERROR",
                f"Invalid input JSON: {type(problem).__name__} {problem}",
            ) from problem

    def _page(self, status: int, title: str) -> int:
        return self._send(status, PAGE.format(title).encode(), HTML, {})

    def _send(
        self,
        status: int,
        body: bytes,
        type_: str,
        headers: dict[str, str],
        cut: int | None = None,
    ) -> int:
        """One answer in one send; `cut` sends only so many bytes of the body."""
        moment = format_datetime(self.server.portal.clock.now(), usegmt=True)
        fields = {
            "Date": moment,
            "Content-Type": type_,
            "Content-Length": str(len(body)),
            "X-HubSpot-Correlation-Id": str(uuid.uuid4()),
            **headers,
        }
        if status == 204:
            del fields["Content-Type"], fields["Content-Length"]
        reason = self.responses.get(cast(Any, status), ("", ""))[0] or "Error"
        head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in fields.items()
        )
        self.wfile.write(head.encode("latin-1") + b"\r\n" + body[:cut])
        self.wfile.flush()
        if cut is not None:
            _close(self.connection)
            raise Dropped
        return status

    def _reset(self) -> None:
        """RST instead of FIN, as a crashed load balancer does."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        raise Dropped


@route("GET", "_sandbox/calls")
@route("POST", "_sandbox/calls/reset")
def _calls(request: Request) -> Answer:
    raise AssertionError("answered by the server, which has the counts")


def calls(server: Server, request: Request) -> Answer:
    if request.route[-1] == "reset":
        server.reset_counts()
    return 200, {"calls": dict(server.calls), "requests": server.requests}


def _refuse(fault: str, retry_after: int) -> None:
    """Faults that answer with a JSON error body. Raises ApiError."""
    if fault in POLICIES:
        raise too_many(POLICIES[fault])
    if fault == "423":
        raise error(423, "LOCKED", "The record is locked; wait two seconds.")
    if fault == "477":
        problem = error(477, "MIGRATION_IN_PROGRESS", "This portal is being migrated.")
        problem.headers = {"Retry-After": str(retry_after)}
        raise problem


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serve(portal: Portal, port: int = 0) -> Iterator[Server]:
    """Run the portal until the block ends; port 0 picks a free one."""
    server = Server(portal, port)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()

"""The HubSpot of a benchmark: a process of its own, whose memory and CPU are not ours.

python -m bench.portal example 10000 1000    contacts, companies
python -m bench.portal wide 10000            contacts of FILLED values each
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

TOKEN = "bench-token"
FILLED = 60  # properties with a value per contact of a wide portal
LONG_AGO = 1_700_000_000_000  # epoch milliseconds: outside every look-back
PER_CALL = 100
# Of a thousand changes, where an app would see them: records and the property.
CHANGES = (
    ("contacts", "jobtitle", 0.8),
    ("companies", "phone", 0.1),
    ("deals", "dealname", 0.1),
)


@dataclass
class Served:
    """A running portal, from outside."""

    url: str
    process: int
    session: requests.Session

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def ids(self, object_type: str) -> list[str]:
        """Live records, by id ascending."""
        body = {"object_type": object_type}
        found: list[str] = self.ask("_sandbox/do/live_ids", body)["result"]
        return found

    def update(self, object_type: str, ids: list[str], values: dict[str, str]) -> None:
        """Write the same values to each, as an integration would."""
        for start in range(0, len(ids), PER_CALL):
            inputs = [
                {"id": each, "properties": values}
                for each in ids[start : start + PER_CALL]
            ]
            path = f"crm/v3/objects/{object_type}/batch/update"
            self.ask(path, {"inputs": inputs})

    def change(self, count: int) -> int:
        """Change so many records, spread over all of them; how many it were."""
        changed = 0
        for object_type, name, share in CHANGES:
            ids = self.ids(object_type)
            some = ids[:: max(1, int(len(ids) / max(1, count * share)))]
            some = some[: max(1, round(count * share))]
            self.update(object_type, some, {name: f"Changed {time.time()}"})
            changed += len(some)
        return changed


@contextmanager
def portal(kind: str, *sizes: int) -> Iterator[Served]:
    """Start one; it has what it holds when this returns."""
    command = [sys.executable, "-m", "bench.portal", kind, *map(str, sizes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    try:
        yield Served(process.stdout.readline().strip(), process.pid, session)
    finally:
        process.kill()  # it has nothing to put away, and may ignore a kinder signal
        process.wait()


def _serve(kind: str, *sizes: int) -> None:
    from sandbox import Portal, serve

    gc.disable()  # a million records are no garbage; to look is a third of the time
    if kind == "example":
        contacts, companies = sizes
        made = Portal.example(companies=companies, contacts=contacts, token=TOKEN)
        made.limits.enabled = False
        with serve(made) as server:
            _until_stopped(server.url)
    else:
        from bench.wide import serve_wide

        with serve_wide(*sizes) as url:
            _until_stopped(url)


def _until_stopped(url: str) -> None:
    gc.freeze()
    gc.enable()
    print(url, flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:]))

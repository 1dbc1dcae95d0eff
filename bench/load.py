"""What a load costs, in calls and in time, beside what it could cost at best.

Prints ratios, all measured in one run: calls to the formula's minimum
(extraction.md 3b), records per second to HubSpot's own rate limit, to what the portal
can serve to a reader that does nothing else, and to dlt's plain dict path on the same
records. The portal is a process of its own, without limits and latency, so that what
limits is ours; it takes its share of the cores, which the CPU times tell.

    make bench ARGS="load --contacts 100000 --engines duckdb,postgres"
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from bench.machine import UNLIMITED, cpu_seconds, databases, server_process
from bench.portal import FILLED, LONG_AGO, TOKEN
from bench.results import report as write_table
from bench.results import table

LIMIT = 1_900  # records per second at 190 calls per ten seconds and 100 per call
PAIRS = 5  # association reads of contacts: companies, deals, tickets, and so on
# Records of the dict path on DuckDB. It is too slow for all, and its rate only falls
# with their number (420/s of 3,000, 360/s of 10,000); on PostgreSQL it reads them all.
SAMPLE = 10_000
READERS = 4  # of the portal alone


@contextmanager
def portal(contacts: int) -> Iterator[tuple[str, int]]:
    """URL and process id of a portal."""
    command = [sys.executable, "-m", "bench.load", "--serve", str(contacts)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait()


def serve_portal(contacts: int) -> None:
    """A portal of contacts with FILLED values each, served until it is stopped."""
    from sandbox import Portal, serve

    made = Portal(token=TOKEN)
    made.limits.enabled = False
    names = [f"field_{number:02}" for number in range(FILLED - 3)]
    for name in names:
        made.add_property("contacts", {"name": name, "type": "string"})
    for number in range(contacts):
        values = {name: f"What person {number} wrote into {name}" for name in names}
        person = {"email": f"p{number}@example.com", "firstname": f"P {number}"}
        made.insert("contacts", {**values, **person}, LONG_AGO, LONG_AGO + number)
    with serve(made) as server:
        print(server.url, flush=True)
        while True:
            time.sleep(60)


def measured(mode: str, engine: str, environment: dict[str, str]) -> dict[str, Any]:
    """Run one step in a process of its own: seconds, CPU, calls, rows, peak memory."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", "--step", mode, "--engines", engine],
        env={
            **os.environ,
            **environment,
            "HUBSYNC_TARGET": engine,
            "PYTHONDONTWRITEBYTECODE": "",  # to compile dlt is not what is measured
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def step(mode: str) -> dict[str, Any]:
    """One step in this process; what it imports is not in its time."""
    import dlt  # noqa: F401

    from pipelines.load import Load
    from pipelines.settings import Settings
    from pipelines.warehouse import Warehouse

    warehouse, settings = Warehouse.from_environment(), Settings.load()
    start, used = time.perf_counter(), time.process_time()
    calls: dict[str, int] = {}
    if mode == "dicts":
        rows = _dict_path(warehouse, settings)
    elif mode == "reader":
        rows = _pure_reader(settings)
    else:
        report = Load(warehouse, settings).run()
        rows = sum(report.rows_read.values())
        calls = report.calls
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - used,
        "rows": rows,
        "calls": calls,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _contacts(settings: Any) -> tuple[Any, Any, list[str]]:
    from pipelines.hubspot.client import HubSpot
    from pipelines.hubspot.definitions import read_definitions

    client = HubSpot(settings)
    definitions = read_definitions(client)
    names = [each["name"] for each in definitions.properties["contacts"]]
    return client, definitions.object_types["contacts"], names


def _pure_reader(settings: Any) -> int:
    """Every page of contacts, asked for and thrown away: what the portal can serve."""
    from pipelines.hubspot.reading import highest_id, list_page

    client, kind, names = _contacts(settings)
    highest, total = highest_id(client, kind)

    def read(after: int) -> None:
        nothing = {"results": []}
        list_page(client, kind, names, after=str(after), decode=lambda _: nothing)

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(read, range(highest - total, highest, 100)))
    return int(total)


def _dict_path(warehouse: Any, settings: Any) -> int:
    """dlt as its tutorial has it: records as dicts, merged on id, all defaults.

    Of contacts alone: no other type, no associations, no definitions.
    """
    import dlt

    from pipelines.hubspot.reading import list_pages

    client, kind, names = _contacts(settings)
    read = 0

    def contacts() -> Iterator[list[dict[str, Any]]]:
        nonlocal read
        for records, _ in list_pages(client, kind, names):
            yield records
            read += len(records)
            if warehouse.target == "duckdb" and read >= SAMPLE:
                return

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "dicts",
            destination=warehouse.destination(),
            dataset_name="dicts",
            pipelines_dir=folder,
        )
        pipeline.run(
            dlt.resource(
                contacts, primary_key="id", write_disposition="merge", name="contacts"
            )
        )
    return read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--engines", default="duckdb,postgres")


def run(given: argparse.Namespace, page: Path | None) -> None:
    os.environ.update(UNLIMITED)
    os.environ["SOURCES__HUBSPOT__ACCESS_TOKEN"] = TOKEN
    rows = []
    with databases(given.engines.split(",")) as found:
        for engine, environment in found.items():
            with portal(given.contacts) as (url, process):
                os.environ["SOURCES__HUBSPOT__BASE_URL"] = url
                rows.append(report(engine, environment, url, process))
    header = [
        *("first load", "records/s", "to dlt's dict path", "to HubSpot's limit"),
        *("to a reader of the portal", "calls to the formula's", "peak MB"),
    ]
    text = f"{given.contacts:,} contacts with {FILLED} values each, no limiter."
    write_table("load", f"{text}\n\n{table(header, rows)}", page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", default="duckdb,postgres", help=argparse.SUPPRESS)
    parser.add_argument(
        "--step", choices=["load", "dicts", "reader"], help=argparse.SUPPRESS
    )
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        serve_portal(given.serve)
    else:
        print(json.dumps(step(given.step)))


def report(
    engine: str, environment: dict[str, str], url: str, process: int
) -> list[str]:
    server = server_process(environment)
    served = cpu_seconds(process), cpu_seconds(server)
    first = measured("load", engine, environment)
    served = cpu_seconds(process) - served[0], cpu_seconds(server) - served[1]
    reader = measured("reader", engine, environment)
    dicts = measured("dicts", engine, environment)
    unchanged = measured("load", engine, environment)
    touched = _touch_one_percent(url)
    changed = measured("load", engine, environment)
    speed = first["rows"] / first["seconds"]
    dict_speed = dicts["rows"] / dicts["seconds"]
    read_speed = reader["rows"] / reader["seconds"]
    cores = os.cpu_count() or 1
    print(f"{engine}: {first['rows']:,} records of {FILLED} values, {cores} cores")
    print(f"  first load     {speed:>8,.0f} records/s, peak {first['peak_mb']:,.0f} MB")
    for what, other in (
        ("dlt's dict path", dict_speed),
        ("HubSpot's rate limit", LIMIT),
        ("a reader of the portal", read_speed),
    ):
        print(f"    to {what:<24}{speed / other:>6.2f}   ({other:,.0f} records/s)")
    record = 1e6 / first["rows"]
    ours, portals, servers = (x * record for x in (first["cpu"], *served))
    print(
        f"    CPU a record: ours {ours:.0f} us, the portal's {portals:.0f}, the "
        f"database server's {servers:.0f}, of {first['seconds'] * record * cores:.0f}"
    )
    print(
        f"    the dict path's: {dicts['cpu'] / dicts['rows'] * 1e6:,.0f} us; "
        f"{dicts['rows']:,} records, peak {dicts['peak_mb']:,.0f} MB"
    )
    ideal = -(-first["rows"] // 100)
    print(f"    lists to the formula       {first['calls']['list'] / ideal:>6.2f}")
    for label, result, changes in (
        ("unchanged", unchanged, 0),
        (f"{touched:,} contacts changed", changed, touched),
    ):
        calls = result["calls"]
        types = calls["archived"]
        searches = types - 1 + max(1, -(-changes // 200))
        links = PAIRS * -(-changes // 1000)
        print(f"  {label}: {result['seconds']:.1f} s, calls {calls}")
        print(f"    searches to the formula    {calls['search'] / searches:>6.2f}")
        if links:
            read = calls.get("associations", 0)
            print(f"    associations to it         {read / links:>6.2f}")
    return [
        *(engine, f"{speed:,.0f}", f"{speed / dict_speed:.2f}"),
        *(f"{speed / LIMIT:.2f}", f"{speed / read_speed:.2f}"),
        *(f"{first['calls']['list'] / ideal:.2f}", f"{first['peak_mb']:,.0f}"),
    ]


def _touch_one_percent(url: str) -> int:
    """Write to one contact in a hundred over HTTP, as an integration would."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    path = f"{url}/crm/v3/objects/contacts"
    ids: list[str] = []
    after: str | None = None
    while True:
        params = {"limit": "100", **({"after": after} if after else {})}
        page = session.get(path, params=params).json()
        ids.append(page["results"][0]["id"])
        after = page.get("paging", {}).get("next", {}).get("after")
        if after is None:
            break
    for start in range(0, len(ids), 100):
        inputs = [
            {"id": each, "properties": {"jobtitle": f"Changed {time.time()}"}}
            for each in ids[start : start + 100]
        ]
        session.post(f"{path}/batch/update", json={"inputs": inputs}).raise_for_status()
    return len(ids)


if __name__ == "__main__":
    main()

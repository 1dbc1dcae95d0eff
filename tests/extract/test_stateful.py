"""The promise as a whole: whatever happens, raw becomes the portal, at its price.

Random edits of every kind, faults, crashes, passing time and loads interleave. At the
end, with HubSpot quiet for a day, one load leaves raw equal to the portal, and the
next costs one search per type and the fixed calls. `make test-deep` runs many more.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from pipelines.errors import HubsyncError
from pipelines.hubspot.client import HubSpot
from pipelines.load import Load
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from sandbox import Portal, serve

DAY = 24 * 60 * 60
EXAMPLES = int(os.environ.get("HUBSYNC_TEST_EXAMPLES", "2"))

TYPES = st.sampled_from(["companies", "contacts", "deals", "tickets", "licenses"])
MERGING = st.sampled_from(["companies", "contacts", "deals", "tickets"])
SEEDS = st.integers(0, 2**32)
FAULTS = st.sampled_from(["500", "503", "423", "reset", "truncated", "html"])
FIXED_CALLS = 25


@pytest.fixture(params=["duckdb", "postgres"])
def fresh(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Warehouse]:
    """A maker of empty warehouses, one per example."""
    monkeypatch.setattr("pipelines.hubspot.client.time.sleep", lambda seconds: None)
    if request.param == "duckdb":
        folder = Path(tempfile.mkdtemp(dir=request.getfixturevalue("tmp_path")))
        numbers: Iterator[int] = iter(range(10**6))
        return lambda: Warehouse("duckdb", path=folder / f"{next(numbers)}.duckdb")
    request.getfixturevalue("postgres_database")

    def emptied() -> Warehouse:
        warehouse = Warehouse("postgres")
        with warehouse.connect() as connection:
            for schema in ("hubspot_raw", "hubspot_raw_staging", "ops"):
                connection.execute(f"drop schema if exists {schema} cascade")
        return warehouse

    return emptied


def test_whatever_happens_raw_becomes_the_portal(
    fresh: Callable[[], Warehouse],
    differences: Callable[[Warehouse, Portal], list[str]],
) -> None:
    class Life(RuleBasedStateMachine):
        @initialize(seed=st.integers(1, 1000))
        def start(self, seed: int) -> None:
            self.portal = Portal.example(companies=6, seed=seed)
            self.serving = serve(self.portal, port=0)
            self.server = self.serving.__enter__()
            self.warehouse = fresh()
            self.settings = Settings(
                access_token=self.portal.token,
                base_url=self.server.url,
                requests_per_ten_seconds=10**6,
                searches_per_second=10**6,
                associations_per_ten_seconds=10**6,
            )

        def live(self, kind: str, seed: int, count: int = 1) -> list[str]:
            ids = self.portal.live_ids(kind)
            return random.Random(seed).sample(ids, min(count, len(ids)))

        @rule(kind=TYPES, seed=SEEDS, count=st.integers(1, 20))
        def edits(self, kind: str, seed: int, count: int) -> None:
            for record in self.live(kind, seed, count):
                self.portal.touch(kind, record)

        @rule(seed=SEEDS, text=st.text(max_size=20))
        def a_value_of_any_text(self, seed: int, text: str) -> None:
            for company in self.live("companies", seed):
                value = text.replace("\x00", "").encode("utf-8", "ignore").decode()
                self.portal.update("companies", company, {"name": value})

        @rule(seed=SEEDS)
        def a_contact_is_created(self, seed: int) -> None:
            self.portal.create("contacts", {"email": f"{seed}@example.com"})

        @rule(kind=TYPES, seed=SEEDS, count=st.integers(1, 4))
        def records_are_archived(self, kind: str, seed: int, count: int) -> None:
            for record in self.live(kind, seed, count):
                self.portal.archive(kind, record)

        @rule(kind=TYPES, seed=SEEDS)
        def a_record_is_restored(self, kind: str, seed: int) -> None:
            if archived := self.portal.archived_ids(kind):
                self.portal.restore(kind, random.Random(seed).choice(archived))

        @rule(kind=MERGING, seed=SEEDS, new_id=st.booleans())
        def two_records_are_merged(self, kind: str, seed: int, new_id: bool) -> None:
            if len(pair := self.live(kind, seed, 2)) == 2:
                self.portal.merge(kind, *pair, new_id=new_id)

        @rule(seed=SEEDS)
        def a_person_is_erased(self, seed: int) -> None:
            for contact in self.live("contacts", seed):
                self.portal.privacy_delete("contacts", contact)

        @rule(seed=SEEDS)
        def a_link_is_made(self, seed: int) -> None:
            for contact in self.live("contacts", seed):
                for company in self.live("companies", seed):
                    self.portal.associate("contacts", contact, "companies", company)

        @rule(seed=SEEDS)
        def a_link_is_cut(self, seed: int) -> None:
            if links := sorted(self.portal.edges()):
                self.portal.dissociate(*random.Random(seed).choice(links)[:4])

        @rule(seed=SEEDS)
        def a_property_is_added(self, seed: int) -> None:
            name = f"added_{seed % 5}"
            if name not in self.portal.live_properties("companies"):
                given: dict[str, Any] = {"name": name, "label": name}
                self.portal.add_property(
                    "companies", {**given, "type": "string", "fieldType": "text"}
                )
            for company in self.live("companies", seed):
                self.portal.update("companies", company, {name: str(seed)})

        @rule(lag=st.sampled_from([0, 0, 30, 600]))
        def the_index_lags(self, lag: int) -> None:
            self.portal.index_lag = lag

        @rule(seconds=st.sampled_from([1, 60, 3_700, DAY]))
        def time_passes(self, seconds: int) -> None:
            self.portal.clock.advance(seconds)

        @rule(kind=FAULTS, skip=st.integers(0, 30), times=st.integers(1, 3))
        def hubspot_stumbles(self, kind: str, skip: int, times: int) -> None:
            self.portal.faults.next(kind, times=times, skip=skip)

        @rule(calls=st.integers(1, 60))
        def a_load_crashes(self, calls: int) -> None:
            send = HubSpot._call
            left = iter(range(calls))

            def until_then(client: HubSpot, *given: Any, **named: Any) -> Any:
                if next(left, None) is None:
                    raise KeyboardInterrupt
                return send(client, *given, **named)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(HubSpot, "_call", until_then)
                try:
                    self.load()
                except (KeyboardInterrupt, HubsyncError) as error:
                    stopped: BaseException | None = error
                else:
                    stopped = None
            interrupted = isinstance(stopped, KeyboardInterrupt)
            assert (
                stopped is None or interrupted or "Interrupt" in repr(stopped.__cause__)
            )

        @rule()
        def a_load(self) -> None:
            self.load()

        def load(self) -> Load:
            load = Load(self.warehouse, self.settings)
            report = load.run()
            assert report.complete, report.failures
            return load

        def teardown(self) -> None:
            if not hasattr(self, "warehouse"):
                return
            try:
                self.portal.faults.clear()
                self.portal.index_lag = 0
                self.load()
                self.portal.clock.advance(DAY + 60)
                self.load()
                assert differences(self.warehouse, self.portal) == []
                calls = self.load().report.calls
                assert calls["search"] <= 8
                assert sum(calls.values()) - calls["search"] <= FIXED_CALLS
            finally:
                self.serving.__exit__(None, None, None)

    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=12,
            deadline=None,
            derandomize=EXAMPLES == 2,
            suppress_health_check=list(HealthCheck),
        ),
    )

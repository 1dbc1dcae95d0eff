"""The budget never lets more calls through than its window allows."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from pipelines.hubspot.budget import Budget
from pipelines.hubspot.client import HubSpot
from pipelines.settings import Settings
from sandbox import Portal, serve


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.lists(st.floats(0, 3), min_size=30, max_size=120))
def test_no_window_ever_holds_more_than_its_calls(idle: list[float]) -> None:
    time = Time()
    budget = Budget(7, 10.0, clock=time.clock, sleep=time.sleep)
    sent = []
    for pause in idle:
        time.now += pause
        budget.take()
        sent.append(time.now)
    for start in sent:
        assert sum(start <= t < start + 9.999 for t in sent) <= 7


def test_a_busy_budget_uses_all_of_its_calls() -> None:
    time = Time()
    budget = Budget(5, 1.0, clock=time.clock, sleep=time.sleep)
    for _ in range(51):
        budget.take()
    assert 9.9 <= time.now - 1_000 <= 10.1


def test_a_lowered_limit_holds_from_the_next_call_on() -> None:
    time = Time()
    budget = Budget(10, 1.0, clock=time.clock, sleep=time.sleep)
    for _ in range(10):
        budget.take()
    budget.set_calls(2)
    sent = []
    for _ in range(20):
        budget.take()
        sent.append(time.now)
    assert all(sum(t <= u < t + 0.999 for u in sent) <= 2 for t in sent[2:])


def test_a_large_limit_remembers_no_call_longer_than_its_window() -> None:
    time = Time()
    budget = Budget(1_000_000, 1.0, clock=time.clock, sleep=time.sleep)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            time.now += 0.01
            budget.take()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50_000  # bytes; every call would be half a million


def test_a_pause_holds_every_caller() -> None:
    time = Time()
    budget = Budget(5, 1.0, clock=time.clock, sleep=time.sleep)
    budget.pause(7)
    budget.take()
    assert time.now >= 1_007


def test_reading_links_takes_no_call_from_the_general_limit() -> None:
    time = Time()
    with serve(Portal()) as server:
        client = HubSpot(Settings("sandbox-token", server.url))
        client._general = Budget(1, 10.0, clock=time.clock, sleep=time.sleep)
        client.get("/crm/v3/owners", {}, "definitions")
        path = "/crm/v4/associations/contacts/companies/batch/read"
        client.post(path, {"inputs": [{"id": "1"}]}, "associations")
        assert time.now == 1_000
        client.get("/crm/v3/owners", {}, "definitions")
        assert time.now == 1_010

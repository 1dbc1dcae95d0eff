"""The budget never lets more calls through than its window allows."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.hubspot.budget import Budget


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.lists(st.floats(0, 3), min_size=30, max_size=120))
def test_any_ten_seconds_hold_at_most_the_burst_and_ten_times_the_rate(
    idle: list[float],
) -> None:
    time = Time()
    budget = Budget(5.0, burst=4, clock=time.clock, sleep=time.sleep)
    sent = []
    for pause in idle:
        time.now += pause
        budget.take()
        sent.append(time.now)
    for start in sent:
        assert sum(start <= t < start + 10 for t in sent) <= 4 + 50


def test_a_busy_budget_uses_its_whole_rate() -> None:
    time = Time()
    budget = Budget(5.0, burst=1, clock=time.clock, sleep=time.sleep)
    for _ in range(51):
        budget.take()
    assert 9.9 <= time.now - 1_000 <= 10.1


def test_a_pause_holds_every_caller() -> None:
    time = Time()
    budget = Budget(5.0, burst=4, clock=time.clock, sleep=time.sleep)
    budget.pause(7)
    budget.take()
    assert time.now >= 1_007

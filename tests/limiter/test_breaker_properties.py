"""The invariants that stand at the top of `limiter/breaker.py`, whatever happens in whatever order."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from limiter import ApiRateConfig, aimd, breaker
from limiter.breaker_config import CircuitBreakerConfig
from state.records import LimiterState

NOW = 1_800_000_000.0
NEAR = 1e-5
"""Seconds; a float of this size of epoch is good to a quarter of a microsecond."""
OWN = {"faults", "fault_at", "open_until", "generation", "updated_at"}
"""What a breaker may change."""


def acme(**settings: Any) -> ApiRateConfig:
    return ApiRateConfig("acme", "https://api.acme.test", breaker=CircuitBreakerConfig(**settings))


def rest(state: LimiterState) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(state) if field.name not in OWN}


class Circuit(RuleBasedStateMachine):
    """One circuit, its clock, and any number of requests that are sent, return, or never do."""

    flying = Bundle("flying")

    @initialize(threshold=st.integers(1, 3), interval=st.floats(1.0, 600.0))
    def begin(self, threshold: int, interval: float) -> None:
        self.config = acme(failure_threshold=threshold, open_interval=interval)
        self.interval = interval
        self.now = NOW
        self.state = aimd.fresh(self.config, self.now)
        self.probed: list[float] = []
        """When requests were sent since the circuit opened, or the clock was set."""

    @rule(by=st.floats(0.0, 700.0))
    def time_passes(self, by: float) -> None:
        self.now += by

    @rule(by=st.floats(-1e6, 1e6))
    def clock_is_set(self, by: float) -> None:
        self.now += by
        self.probed.clear()

    @rule(by=st.floats(0.1, 5.0))
    def cooldown(self, by: float) -> None:
        self.state = aimd.held(self.current(), self.config, self.now, by)

    @rule(target=flying)
    def send(self) -> Any:
        before = self.current()
        if until := breaker.refuses_until(before, self.now):
            assert until > self.now
            return multiple()
        assert before.cooldown_until <= self.now or not before.open_until, "a probe inside a cooldown"
        self.state = breaker.lent(before, self.config, self.now)
        if before.open_until:
            assert all(self.now - at >= self.interval - NEAR for at in self.probed), "two probes at a time"
            self.probed.append(self.now)
            assert breaker.refuses_until(self.state, self.now), "the next caller is no probe"
        else:
            assert self.state is before, "while nothing is wrong nothing is written"
        return self.now

    @rule(sent_at=consumes(flying))
    def fault(self, sent_at: float) -> None:
        before = self.current()
        self.state = breaker.failed(before, self.config, self.now, sent_at)
        if sent_at < before.fault_at:
            assert self.state is before, "of an event that is counted already"
        else:
            assert self.state.faults == before.faults + 1
            assert bool(self.state.open_until) == (
                bool(before.open_until) or self.state.faults >= self.config.breaker.failure_threshold
            )
        if self.state.generation != before.generation:
            assert aimd.is_void(self.state, aimd.Ticket(self.now, before.generation, paced=True))
            self.probed.clear()
        assert rest(self.state) == rest(before)

    @rule(sent_at=consumes(flying))
    def answer(self, sent_at: float) -> None:
        before = self.current()
        self.state = breaker.answered(before, self.now, sent_at)
        if not (before.faults or before.open_until):
            assert self.state is before
        elif before.open_until and sent_at < before.fault_at:
            assert self.state is before, "sent before the circuit opened"
        else:
            assert not breaker.is_troubled(self.state)
        assert rest(self.state) == rest(before)
        assert self.state.generation == before.generation

    @rule(sent_at=consumes(flying))
    def process_dies(self, sent_at: float) -> None:
        """Its request never comes back."""

    def current(self) -> LimiterState:
        return aimd.at_time(self.state, self.config, self.now)

    @invariant()
    def nobody_is_refused_for_long(self) -> None:
        current = self.current()
        assert current.open_until <= self.now + self.interval + NEAR
        assert breaker.refuses_until(current, self.now) <= max(self.now + self.interval, current.cooldown_until) + NEAR


TestCircuit = Circuit.TestCase


@given(
    value=st.sampled_from([float("nan"), float("inf"), -float("inf")]) | st.floats(-1e12, 1e12),
    name=st.sampled_from(["faults", "fault_at", "open_until"]),
)
def test_whatever_an_editor_left_a_request_passes_in_time_and_closes_it(value: float, name: str) -> None:
    config = acme(open_interval=10.0)
    broken = replace(aimd.fresh(config, NOW), faults=5, fault_at=NOW, open_until=NOW + 5.0)
    state = aimd.at_time(replace(broken, **{name: value}), config, NOW)
    later = max(NOW, breaker.refuses_until(state, NOW))
    assert later <= NOW + 10.0
    assert all(math.isfinite(getattr(state, field.name)) for field in fields(state))
    state = breaker.lent(aimd.at_time(state, config, later), config, later)
    assert not breaker.is_troubled(breaker.answered(state, later, later))


def test_an_open_circuit_is_forgotten_once_the_breaker_is_switched_off() -> None:
    config = ApiRateConfig("acme", "https://api.acme.test", breaker=None)
    open_ = replace(aimd.fresh(config, NOW), faults=5, fault_at=NOW, open_until=NOW + 5.0)
    state = aimd.at_time(open_, config, NOW)
    assert breaker.refuses_until(state, NOW) == 0.0
    assert breaker.lent(state, config, NOW) is state
    assert breaker.failed(state, config, NOW, NOW) is state


@pytest.mark.parametrize("by", [-3600.0, 3600.0])
def test_a_clock_that_jumps_an_hour_keeps_it_open_no_longer_than_the_interval(by: float) -> None:
    config = acme(failure_threshold=1, open_interval=30.0)
    state = breaker.failed(aimd.fresh(config, NOW), config, NOW, NOW)
    then = NOW + by
    assert breaker.refuses_until(aimd.at_time(state, config, then), then) == (then + 30.0 if by < 0 else 0.0)


def test_a_clock_that_is_set_back_makes_the_rest_of_the_interval_no_longer() -> None:
    config = acme(failure_threshold=1, open_interval=30.0)
    state = replace(breaker.failed(aimd.fresh(config, NOW), config, NOW, NOW), updated_at=NOW + 10.0)
    moved = aimd.at_time(state, config, NOW - 990.0)
    assert (breaker.refuses_until(moved, NOW - 990.0), moved.fault_at) == (NOW - 970.0, NOW - 1000.0)


def test_in_flight_together_is_one_fault_and_what_was_sent_before_it_opened_neither_closes_nor_counts() -> None:
    config = acme(failure_threshold=2)
    state = aimd.fresh(config, NOW)
    for seconds in (1.0, 1.1, 1.2):  # eight callers, one blip
        state = breaker.failed(state, config, NOW + seconds, NOW)
    assert (state.faults, state.open_until) == (1, 0.0)
    state = breaker.failed(state, config, NOW + 3.0, NOW + 2.0)
    assert (state.faults, breaker.refuses_until(state, NOW + 3.0)) == (2, NOW + 33.0)
    assert breaker.answered(state, NOW + 4.0, NOW + 2.9) is state
    assert breaker.failed(state, config, NOW + 4.0, NOW + 2.9) is state
    assert aimd.is_void(state, aimd.Ticket(NOW, 0, paced=True)), "slots that were reserved before"
    closed = breaker.answered(breaker.lent(state, config, NOW + 33.0), NOW + 34.0, NOW + 33.0)
    assert (closed.faults, closed.open_until) == (0, 0.0)

"""The invariants that stand at the top of `limiter/aimd.py`, whatever happens in whatever order."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from limiter import ApiRateConfig, aimd
from state.records import LimiterState

NOW = 1_800_000_000.0
NEAR = 1e-5
"""Seconds; a float of this size of epoch is good to a quarter of a microsecond."""

seconds = st.floats(0.0, 200.0)
advice = st.sampled_from([None, 0.0]) | st.floats(0.001, 100_000.0)


@st.composite
def configs(draw: st.DrawFn) -> ApiRateConfig:
    floor = draw(st.floats(0.01, 2.0))
    cap = floor * draw(st.floats(1.0, 100.0))
    return ApiRateConfig(
        "acme",
        "https://api.acme.test",
        initial_rate=draw(st.floats(floor, cap)),
        min_rate=floor,
        max_rate=cap,
        increase_step=draw(st.floats(0.001, 5.0)),
        decrease_factor=draw(st.floats(0.05, 0.99)),
        burst=draw(st.integers(1, 8)),
        max_cooldown=draw(st.floats(5.0, 100_000.0)),
    )


class Bucket(RuleBasedStateMachine):
    """One bucket, its clock, and any number of requests that wait, fly and return."""

    waiting = Bundle("waiting")
    flying = Bundle("flying")

    @initialize(config=configs())
    def begin(self, config: ApiRateConfig) -> None:
        self.config = config
        self.now = NOW
        self.state = aimd.fresh(config, self.now)
        self.granted: list[tuple[float, float]] = []
        """Slots since the clock was last set or a cooldown began: when, and the rate then."""
        self.cut_at = -math.inf
        self.quiet = True
        """A success has come since the last cut."""

    @rule(by=seconds)
    def time_passes(self, by: float) -> None:
        self.now += by

    @rule(by=st.floats(0.001, 1e7))
    def clock_is_set_back(self, by: float) -> None:
        current = aimd.at_time(self.state, self.config, self.now)
        wait = aimd.earliest(current, self.config, self.now) - self.now
        hold = max(0.0, current.hold_until - self.now)
        self.now -= by
        self.state = aimd.at_time(self.state, self.config, self.now)
        # What was written some time ago knows no more than that: the time since is waited once more.
        unseen = max(0.0, self.now + by - current.updated_at)
        assert aimd.earliest(self.state, self.config, self.now) - self.now <= wait + unseen + NEAR
        assert self.state.hold_until - self.now <= hold + unseen + NEAR
        self.granted.clear()
        self.cut_at = min(self.cut_at, self.now)

    @rule(target=waiting, waited=st.booleans())
    def reserve(self, waited: bool) -> Any:
        before = aimd.at_time(self.state, self.config, self.now)
        self.state, ticket = aimd.reserve(before, self.config, self.now, waited=waited)
        assert ticket.at >= max(self.now, before.cooldown_until)
        if ticket.generation is None:
            assert self.state is before, "no slot was taken"
            assert ticket.at <= max(self.now, before.cooldown_until) + aimd.HORIZON
            return multiple()
        assert ticket.paced == (waited or ticket.at > self.now)
        rate = before.rate
        due = 0.0
        for at, rate_then in reversed(self.granted):
            due += 1.0 / rate_then
            assert ticket.at - at >= due - (self.config.burst - 1) / rate - NEAR, "slots overlap"
        self.granted.append((ticket.at, rate))
        return ticket

    @rule(target=flying, ticket=consumes(waiting))
    def send(self, ticket: aimd.Ticket) -> Any:
        if ticket.at > self.now + 500.0:
            return multiple()  # reserved before the clock was set back
        self.now = max(self.now, ticket.at)
        if aimd.is_void(self.state, ticket):
            return multiple()
        assert aimd.at_time(self.state, self.config, self.now).cooldown_until <= self.now, "sent inside a cooldown"
        return replace(ticket, at=self.now)

    @rule(ticket=consumes(flying))
    def succeed(self, ticket: aimd.Ticket) -> None:
        before = aimd.at_time(self.state, self.config, self.now)
        self.state = aimd.succeeded(before, self.config, self.now, ticket)
        assert before.rate <= self.state.rate <= before.rate + self.config.increase_step * (1 + 1e-12)
        assert self.state.cooldown_until == before.cooldown_until
        if not ticket.paced and not before.outage_since:
            assert self.state.rate == before.rate, "learned from a request that had not waited"
        if ticket.at >= self.cut_at:
            self.quiet = True
        assert (self.state is before) == (self.state == before), "what changes nothing must not be written"

    @rule(ticket=consumes(flying), retry_after=advice)
    def throttle(self, ticket: aimd.Ticket, retry_after: float | None) -> None:
        before = aimd.at_time(self.state, self.config, self.now)
        self.state = aimd.throttled(before, self.config, self.now, ticket, retry_after)
        assert self.state.rate <= before.rate
        left = min(aimd.FAR_OFF, self.config.decrease_factor) * before.rate
        assert self.state.rate >= max(self.config.min_rate, left) - NEAR
        assert self.state.throttles == before.throttles + 1
        assert self.state.cooldown_until > self.now, "a refusal holds the bucket"
        if ticket.at < self.cut_at or not self.quiet:
            assert self.state.rate == before.rate, "one event cut twice"
        else:
            self.cut_at, self.quiet = self.now, False
        self.held_from(before)

    @rule(wait=st.floats(0.0, 1e6))
    def hold(self, wait: float) -> None:
        before = aimd.at_time(self.state, self.config, self.now)
        self.state = aimd.held(before, self.config, self.now, wait)
        assert self.state.rate == before.rate
        assert self.state.cooldown_until >= before.cooldown_until, "a shorter hold ended a longer one"
        self.held_from(before)

    def held_from(self, before: LimiterState) -> None:
        if self.state.cooldown_until > max(before.cooldown_until, self.now):
            assert self.state.generation > before.generation, "older reservations are void"
            self.granted.clear()

    @precondition(lambda self: hasattr(self, "config"))
    @invariant()
    def bounded(self) -> None:
        state = aimd.at_time(self.state, self.config, self.now)
        assert self.config.min_rate <= state.rate <= self.config.max_rate
        assert state.cooldown_until <= self.now + self.config.max_cooldown
        assert state.hold_until <= self.now + self.config.max_cooldown
        assert 0.0 <= aimd.tokens(state, self.config, self.now) <= self.config.burst
        assert aimd.at_time(state, self.config, self.now) is state, "at_time repeats itself"
        assert vars(self.state).keys() == vars(LimiterState(1.0)).keys(), "a field that is none was set"


Bucket.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_a_bucket_keeps_its_invariants = Bucket.TestCase


anything = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, NOW, 1e9, 1e12, 1e300, -1e300, math.inf, -math.inf, math.nan]
)
garbage = st.builds(
    LimiterState,
    rate=anything,
    ceiling=anything,
    next_slot=anything,
    cooldown_until=anything,
    generation=st.integers(0, 2**40),
    throttles=st.integers(0, 2**40),
    updated_at=anything,
    delivered=anything,
    since=anything,
    hold_until=anything,
    trusted=anything,
    cut_at=anything,
    outage_since=anything,
    rounds=st.integers(-(2**40), 2**40),
    recorded_rate=anything,
)


@given(garbage, configs(), advice)
@settings(max_examples=400, deadline=None)
def test_no_row_stops_a_bucket_for_longer_than_max_cooldown(
    row: LimiterState, config: ApiRateConfig, retry_after: float | None
) -> None:
    now = NOW
    longest = config.max_cooldown + aimd.HORIZON + aimd.LONGEST_BACKOFF + config.burst / config.min_rate + NEAR
    state = aimd.at_time(row, config, now)
    assert state.cooldown_until <= aimd.earliest(state, config, now) <= now + longest
    assert state.hold_until <= now + config.max_cooldown

    now += longest
    state, ticket = aimd.reserve(aimd.at_time(state, config, now), config, now, waited=True)
    assert (ticket.at, ticket.generation, ticket.paced) == (now, state.generation, True), (
        "after that, there is a slot at once"
    )
    # It paces again, it learns again, and nothing raises.
    following = aimd.earliest(aimd.at_time(state, config, now), config, now)
    assert config.burst > 1 or following >= now + 1 / state.rate - NEAR
    answered = aimd.succeeded(aimd.at_time(state, config, now + 1), config, now + 1, ticket)
    refused = aimd.throttled(aimd.at_time(answered, config, now + 2), config, now + 2, ticket, retry_after)
    for after in (answered, refused):
        assert config.min_rate <= aimd.at_time(after, config, now + 2).rate <= config.max_rate
    assert now + 2 < refused.cooldown_until <= now + 2 + config.max_cooldown


@given(garbage, configs())
@settings(max_examples=200, deadline=None)
def test_a_row_that_was_garbage_learns_within_max_cooldown(row: LimiterState, config: ApiRateConfig) -> None:
    now = NOW
    state = aimd.at_time(row, config, now)
    rate = state.rate
    for _ in range(3):
        now += config.max_cooldown + aimd.HORIZON + aimd.LONGEST_BACKOFF + config.burst / config.min_rate
        state, ticket = aimd.reserve(aimd.at_time(state, config, now), config, now, waited=True)
        state = aimd.succeeded(aimd.at_time(state, config, now), config, now, ticket)
    assert state.rate > rate or rate == config.max_rate


def test_not_a_number_costs_only_the_field_that_holds_it() -> None:
    config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=1.0, max_rate=10.0)
    sound: dict[str, Any] = {"rate": 4.0, "ceiling": 5.0, "updated_at": NOW, "generation": 7, "throttles": 3}
    state = aimd.at_time(LimiterState(**sound, next_slot=math.nan, cooldown_until=math.inf), config, NOW)
    assert {name: getattr(state, name) for name in sound} == sound
    assert (state.next_slot, state.cooldown_until) == (NOW, 0.0)
    assert aimd.at_time(replace(state, rate=math.nan), config, NOW).rate == 1.0


@given(st.integers(2, 60), configs())
@settings(max_examples=50, deadline=None)
def test_one_event_cuts_once_however_many_were_in_flight(in_flight: int, config: ApiRateConfig) -> None:
    now = NOW
    state = aimd.fresh(config, now)
    tickets = []
    for _ in range(in_flight):
        now = aimd.earliest(state, config, now)
        state, ticket = aimd.reserve(state, config, now)
        tickets.append(replace(ticket, at=now))
    now += 1.0
    rates = [state.rate]
    for ticket in tickets:
        state = aimd.throttled(aimd.at_time(state, config, now), config, now, ticket, None)
        rates.append(state.rate)
        now += 0.01
    assert len(set(rates[1:])) == 1
    assert state.throttles == in_flight

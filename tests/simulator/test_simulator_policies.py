"""Every hidden limit is a pure state machine; its promises hold for any arrivals.

Times are multiples of 1/64 s, so that the oracles' sums and differences are exact.
"""

import copy
import math
from collections import deque
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator import (
    Drift,
    FixedWindow,
    InFlight,
    Penalty,
    SlidingWindow,
    TokenBucket,
    Unlimited,
    Verdict,
    parse_policy,
)

TICK = 1 / 64

gaps = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 64 * 8)), min_size=1, max_size=60)
starts = st.integers(0, 64 * 1000)
dyadic = st.integers(1, 64 * 20).map(lambda n: n * TICK)
counts = st.integers(1, 8)
any_float = st.floats(0.01, 50.0)

token_buckets = st.builds(TokenBucket, any_float, st.floats(1.0, 20.0))
fixed_windows = st.builds(FixedWindow, counts, any_float, st.floats(0, 0.99))
sliding_windows = st.builds(SlidingWindow, counts, any_float)
penalties = st.builds(Penalty, counts, any_float, any_float)
drifts = st.builds(
    lambda rate, burst, steps: Drift(rate, burst, sorted(steps.items())),
    any_float,
    st.floats(1.0, 20.0),
    st.dictionaries(any_float, st.floats(0.05, 5.0), min_size=1, max_size=4),
)
rate_policies = st.one_of(token_buckets, fixed_windows, sliding_windows, penalties, drifts)


def moments(start, gaps):
    now = start * TICK
    for gap in gaps:
        now += gap * TICK
        yield now


def admissions(policy, start, gaps):
    return [now for now in moments(start, gaps) if policy.admit(now).allowed]


@given(rate_policies, starts, gaps)
def test_retry_after_is_exact(policy, start, gaps):
    """Asked again at the moment named it admits, and a little before it does not."""
    for now in moments(start, gaps):
        verdict = policy.admit(now)
        if verdict.allowed:
            assert verdict.retry_after == 0.0
            continue
        assert verdict.retry_after > 0
        assert copy.deepcopy(policy).admit(now + verdict.retry_after).allowed
        earlier = now + verdict.retry_after - max(1e-6, 1e-9 * now)
        if earlier > now:
            assert not copy.deepcopy(policy).admit(earlier).allowed


@given(st.floats(0, 1), st.floats(1, 100))
@example(0.26, 3.4)
def test_the_wait_reaches_the_moment_in_floating_point(now, moment):
    verdict = Verdict.at(moment, now)
    assert verdict.allowed == (now >= moment)
    assert now + verdict.retry_after >= moment


@given(rate_policies.filter(lambda policy: not isinstance(policy, Penalty)), starts, gaps, gaps)
def test_a_refusal_costs_nothing(policy, start, gaps, impatience):
    """Extra requests that are refused change nothing for those that come later."""
    twin = copy.deepcopy(policy)
    for now, extra in zip(moments(start, gaps), impatience, strict=False):
        verdict = policy.admit(now)
        assert twin.admit(now) == verdict
        if not verdict.allowed:
            for _ in range(extra % 4):
                assert policy.admit(now) == verdict


@given(any_float, st.floats(1.0, 20.0), starts, gaps)
def test_a_token_bucket_never_admits_more_than_flowed_in(rate, burst, start, gaps):
    admitted = admissions(TokenBucket(rate, burst), start, gaps)
    for first, since in enumerate(admitted):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= burst + rate * (admitted[last] - since) + 1e-6


@given(st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0, 8.0]), st.integers(1, 10), starts, gaps)
def test_a_token_bucket_is_the_textbook_one(rate, burst, start, gaps):
    """Against a bucket that is filled step by step, in exact arithmetic."""
    policy, tokens, before = TokenBucket(rate, burst), Fraction(burst), start * TICK
    for now in moments(start, gaps):
        tokens = min(Fraction(burst), tokens + Fraction(rate) * (Fraction(now) - Fraction(before)))
        before = now
        allowed = policy.admit(now).allowed
        assert allowed == (tokens >= 1)
        tokens -= allowed


@given(counts, dyadic, st.integers(0, 3).map(lambda n: n / 4), starts, gaps)
def test_a_fixed_window_admits_its_count_in_each_window_of_the_grid(count, window, phase, start, gaps):
    policy, used = FixedWindow(count, window, phase), {}
    for now in moments(start, gaps):
        index = math.floor((Fraction(now) + Fraction(phase) * Fraction(window)) / Fraction(window))
        allowed = policy.admit(now).allowed
        assert allowed == (used.get(index, 0) < count)
        used[index] = used.get(index, 0) + allowed


@given(counts, dyadic, starts, gaps)
def test_a_sliding_window_admits_its_count_in_any_window(count, window, start, gaps):
    policy, admitted = SlidingWindow(count, window), deque()
    for now in moments(start, gaps):
        allowed = policy.admit(now).allowed
        assert allowed == (sum(at > now - window for at in admitted) < count)
        if allowed:
            admitted.append(now)


@given(counts, dyadic, dyadic, starts, gaps)
def test_a_penalty_locks_everyone_out_after_one_request_too_many(count, window, lockout, start, gaps):
    policy, admitted, locked_until = Penalty(count, window, lockout), deque(), -math.inf
    for now in moments(start, gaps):
        recent = [at for at in admitted if at > now - window]
        verdict = policy.admit(now)
        if now < locked_until:
            assert verdict == Verdict(False, locked_until - now)
        elif len(recent) < count:
            assert verdict.allowed
            admitted.append(now)
        else:
            assert verdict.retry_after == max(lockout, recent[0] + window - now)
            locked_until = now + verdict.retry_after


def test_requests_during_a_lockout_do_not_prolong_it():
    policy = Penalty(1, 1.0, 30.0)
    assert policy.admit(0.0).allowed
    assert [policy.admit(at).retry_after for at in (0.5, 10.5, 30.25)] == [30.0, 20.0, 0.25]
    assert policy.admit(30.5).allowed


def saturated(policy, begin, end, step=TICK):
    """How many requests pass if somebody knocks every `step` seconds."""
    return sum(policy.admit(begin + n * step).allowed for n in range(int((end - begin) / step)))


def test_drift_changes_its_rate_at_the_steps_counted_from_the_first_request():
    policy = Drift(8, 8, [(300, 0.5), (600, 1.0)])
    assert policy.rate(5000.0) == 8
    assert saturated(policy, 5000.0, 5300.0) == 8 + 8 * 300 - 1
    assert policy.rate(5299.0) == 8
    assert policy.rate(5300.0) == 4
    assert saturated(policy, 5300.0, 5600.0) == 4 * 300
    assert policy.rate(5600.0) == 8
    assert saturated(policy, 5600.0, 5700.0) == 8 * 100


def test_drift_takes_the_burst_down_with_the_rate_but_never_below_one():
    policy = Drift(10, 10, [(100, 0.05)])
    assert policy.admit(0.0).allowed
    assert [policy.admit(200.0).allowed for _ in range(2)] == [True, False]


def test_drift_says_how_long_across_a_step():
    """0.5 of a token is missing; half of the wait is at 1 a second, the rest at 4."""
    policy = Drift(1, 1, [(10.75, 4.0)])
    assert policy.admit(0.0).allowed
    assert policy.admit(10.25).allowed
    assert policy.admit(10.5) == Verdict(False, 0.25 + 0.5 / 4)


@given(st.integers(1, 5), st.lists(st.sampled_from(["arrive", "finish"]), max_size=40))
def test_an_in_flight_cap_counts_who_is_inside(cap, events):
    policy, inside = InFlight(cap), 0
    for now, event in enumerate(events):
        if event == "finish" and inside:
            policy.release(now)
            inside -= 1
        elif event == "arrive":
            verdict = policy.admit(now)
            assert verdict == (Verdict(True, 0.0) if inside < cap else Verdict(False, 1.0))
            inside += verdict.allowed


def test_no_limit_admits_everything():
    policy = Unlimited()
    assert all(policy.admit(0.0).allowed for _ in range(10_000))


@pytest.mark.parametrize(
    ("spec", "rate"),
    [
        ("token:rate=5,burst=2", 5.0),
        ("fixed:count=50,window=10", 5.0),
        ("sliding:count=20,window=60", 1 / 3),
        ("penalty:count=5", 5.0),
        ("inflight:cap=4", math.inf),
        ("inflight:cap=4,latency=0.1", 40.0),
        ("none", math.inf),
    ],
)
def test_each_policy_knows_its_true_rate(spec, rate):
    assert parse_policy(spec).rate(123.0) == pytest.approx(rate)

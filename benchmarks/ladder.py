"""The rules of the core, each taken away by itself on the limits that it is for: what it would cost to do without."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import mean
from types import ModuleType
from typing import Any

from benchmarks.flying import Demand
from benchmarks.random_limits import OURS, Draw, Drawn, Result, any_limit, compared, difference, draw, judge
from benchmarks.tables import table
from limiter import aimd, in_flight
from limiter.aimd import Ticket
from limiter.config import ApiRateConfig
from state.records import LimiterState, changed


def _changing(source: random.Random) -> Drawn | None:
    one = any_limit(source)
    return one if one and one.kind == "drift" else None


def _slow(source: random.Random) -> Drawn | None:
    one = any_limit(source, 0.03, 0.3)
    return replace(one, seconds=300 / one.limit) if one and one.limit <= 0.3 else None


def _silent(source: random.Random) -> Drawn | None:
    one = any_limit(source)
    return replace(one, advice="none") if one and one.kind != "inflight" else None


def _long_and_silent(source: random.Random) -> Drawn | None:
    one = any_limit(source)
    return replace(one, advice="none") if one and one.window >= 30.0 else None


def _resting(source: random.Random) -> Drawn | None:
    one = any_limit(source)
    if not one or one.window > 10.0 or one.kind in ("drift", "inflight"):
        return None
    pause = one.callers / one.limit / source.uniform(0.1, 0.5)
    demand = Demand(busy=source.uniform(20.0, 120.0), quiet=source.uniform(60.0, 240.0), pause=pause)
    return replace(one, demand=demand, seconds=max(1200.0, one.seconds))


def _bursting(source: random.Random) -> Drawn | None:
    one = any_limit(source)
    if not one or one.kind != "token" or float(one.spec.rpartition("=")[2]) < 8:
        return None
    return replace(one, burst=5)


def _in_flight(source: random.Random) -> Drawn | None:
    one = any_limit(source)
    return one if one and one.kind == "inflight" else None


def _fast_in_flight(source: random.Random) -> Drawn | None:
    one = _in_flight(source)
    return one if one and one.limit >= 40.0 else None


LIMITS: Mapping[str, Draw] = {
    "all": any_limit,
    "limits that change": _changing,
    "up to 0.3/s": _slow,
    "no Retry-After": _silent,
    "windows of 30 s and more, no Retry-After": _long_and_silent,
    "callers that rest in between": _resting,
    "buckets, with bursts of 5": _bursting,
    "caps in flight": _in_flight,
    "caps in flight, from 40/s": _fast_in_flight,
}


@dataclass(frozen=True)
class Rule:
    """A rule of the core.

    Attributes:
        without: What changes to take it away.
        limits: Of `LIMITS`, those that it is for.
        of: The module that it is a rule of.
    """

    without: Mapping[str, Any]
    limits: str = "all"
    of: ModuleType = aimd


_succeeded, _throttled, _cut, _proved = aimd.succeeded, aimd.throttled, aimd._cut, in_flight.succeeded


def _all_teach(state: LimiterState, config: ApiRateConfig, now: float, ticket: Ticket) -> LimiterState:
    return _succeeded(state, config, now, replace(ticket, paced=True))


def _old_news_teaches(state: LimiterState, config: ApiRateConfig, now: float, ticket: Ticket) -> LimiterState:
    return _succeeded(state, config, now, replace(ticket, at=now))


def _forgetful(state: LimiterState, *reply: Any) -> LimiterState:
    after = _succeeded(state, *reply)
    return after if after.outage_since else changed(after, rounds=0)


def _each_doubles(
    state: LimiterState, config: ApiRateConfig, now: float, ticket: Ticket, wait: float | None, *, spared: bool
) -> LimiterState:
    doubled = changed(state, rounds=state.rounds + (ticket.at < state.cooldown_until))
    return _throttled(doubled, config, now, ticket, wait, spared=spared)


def _burst_at_once(state: LimiterState, *refusal: Any, spared: bool) -> LimiterState:
    after = _throttled(state, *refusal, spared=spared)
    return changed(after, next_slot=after.cooldown_until) if after.generation > state.generation else after


def _never_spared(*refusal: Any, **_: bool) -> LimiterState:
    return _throttled(*refusal)


def _spared_below_the_ceiling(state: LimiterState, *refusal: Any, spared: bool) -> LimiterState:
    after = _throttled(state, *refusal, spared=spared)
    return changed(after, ceiling=state.ceiling) if spared else after


RULES: Mapping[str, Rule] = {
    "a slot is at most 1 s ahead": Rule({"HORIZON": 1e9}),
    "a cooldown voids the slots before it": Rule({"is_void": lambda _state, _ticket: False}),
    "no burst after a refusal": Rule({"throttled": _burst_at_once}, "buckets, with bursts of 5"),
    "only who waited teaches": Rule({"succeeded": _all_teach}, "callers that rest in between"),
    "a success of before the cut is no news": Rule({"succeeded": _old_news_teaches}, "callers that rest in between"),
    "one cut an event": Rule({"is_event": lambda _state, _ticket: True}),
    "steps of at most 7 %": Rule({"STEEPEST": 1e9}, "up to 0.3/s"),
    "search up to 0.8 of the ceiling, hold or not": Rule({"FAR_BELOW": 0.0}),
    "search again beyond 1.1 of it": Rule({"STALE": 1e9}, "limits that change"),
    "near it, 0.75 % a second": Rule({"GROWTH": 1e9, "GENTLEST": aimd.STEEPEST}),
    "and 1 % a success": Rule({"GENTLEST": aimd.STEEPEST}, "up to 0.3/s"),
    "hold by the outage": Rule({"HOLD_OUTAGES": 0}),
    "hold by requests": Rule({"HOLD_REQUESTS": 0}, "up to 0.3/s"),
    "a failed probe lands where it began": Rule(
        {"_landing": lambda state, config: state.rate * config.decrease_factor}, "no Retry-After"
    ),
    "or at 0.92, if that is more": Rule({"_landing": lambda state, _config: state.trusted}, "no Retry-After"),
    "a surprise lands on what was delivered": Rule({"DEEPEST": 0.92, "FAR_OFF": 0.92}),
    "counted up to what was refused": Rule({"_cut": lambda state, config, _: _cut(state, config, state.delivered)}),
    "not below 0.67": Rule({"DEEPEST": 0.0}, "callers that rest in between"),
    "far off: leave a tenth": Rule({"FAR_OFF": aimd.DEEPEST}),
    "without Retry-After the wait doubles": Rule({"_backoff": lambda _rounds: 1.0}, "no Retry-After"),
    "once a cooldown": Rule({"throttled": _each_doubles}, "no Retry-After"),
    "the next outage starts two doublings lower": Rule(
        {"succeeded": _forgetful}, "windows of 30 s and more, no Retry-After"
    ),
    "one asks whether an outage is over": Rule(
        {"_pause_of_one": lambda _state, _config: 0.0}, "windows of 30 s and more, no Retry-After"
    ),
    "the cap in flight spares the rate": Rule({"throttled": _never_spared}, "caps in flight"),
    "and takes the ceiling away": Rule({"throttled": _spared_below_the_ceiling}, "caps in flight"),
    "two refusals above what succeeded set the cap": Rule({"EVENTS": 10**9}, "caps in flight", in_flight),
    "nothing sent before a refusal came back is proof": Rule(
        {"succeeded": lambda cap, now, count, _sent_at: _proved(cap, now, count, now)},
        "caps in flight, from 40/s",
        in_flight,
    ),
    "it is widened ever more slowly": Rule({"LONGEST_PATIENCE": in_flight.PATIENCE}, "caps in flight", in_flight),
}
"""By what they say."""
NONE = Rule({})
"""Takes nothing away."""


@contextmanager
def without(name: str) -> Iterator[None]:
    """The core without a rule, in this process and for as long as the block takes."""
    rule = RULES.get(name, NONE)
    kept = {name: getattr(rule.of, name) for name in rule.without}
    try:
        for name, value in rule.without.items():
            setattr(rule.of, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(rule.of, name, value)


def report(seed: int, count: int) -> str:
    """Judge the core with and without each of its rules on the same drawn limits, and return the table."""
    limits = {name: draw(seed, count, of) for name, of in LIMITS.items()}
    jobs = [*(("", drawn) for drawn in limits.values()), *((name, limits[rule.limits]) for name, rule in RULES.items())]
    found = compared(jobs, _judge)
    whole = dict(zip(limits, found, strict=False))
    rows = [["rule", "limits", "score", "rejected", "without it", "rejected", "worse by", "standard error"]]
    for (name, rule), results in zip(RULES.items(), found[len(limits) :], strict=True):
        cells = [
            f"{value:.2f}"
            for each in (whole[rule.limits], results)
            for value in (mean(result.score for result in each), mean(result.rejected for result in each))
        ]
        rows.append([name, rule.limits, *cells, *difference(results, whole[rule.limits])])
    return (
        f"THE LADDER: the core without one of its rules ({count} limits of each kind, drawn with seed {seed})\n"
        "Score and rejections (%) with all rules and without the one, and the paired difference of the scores.\n\n"
        f"{table(rows, left=2)}"
    )


def _judge(rule: str, drawn: Drawn, best: float) -> Result:
    with without(rule):
        return judge(OURS, drawn, best)

"""The core: how fast may we ask?  Pure functions over a frozen `LimiterState`; time is an argument.

Theory
------
A vendor lets R requests per second pass and R is hidden. We send at `rate` and hear of R only by being refused. That
is congestion control with one difference: a policer has no queue to drain, so a cut to one half buys nothing. Hence
additive increase, and a decrease that lands just below what the vendor has shown it delivers.

pace     GCRA (ITU-T I.371): one number, the theoretical arrival time of the next request (`next_slot`), one slot every
         1/rate seconds; a tolerance of (burst - 1) slots lets a rested client start with a burst. No slot is handed
         out more than HORIZON ahead, the waiter looks again instead: slots reserved at an old, slow rate, or by a
         process that died, would otherwise outlive the rate.
teach    Only a request that the limiter made wait says anything about the rate; idle time teaches nothing. 429s to
         requests sent before the last cut belong to the same congestion event: they may lengthen the hold, no more.
up       Slow start, +increase_step per success, until the vendor objects (`ceiling`), and again when the rate has left
         the ceiling behind (STALE). Else hold still for a while, then grow by GROWTH of the rate per second.
down     Expected (we were probing near the ceiling): x decrease_factor. Surprise (slow start, or before the hold was
         served): onto SLACK x what was delivered since the last cut, but between DEEPEST and decrease_factor.
hold     After an outage no growth for HOLD_OUTAGES times its length or HOLD_REQUESTS requests, whichever is longer;
         half of it after a surprise, which has most likely landed too low.
cooldown Retry-After holds everyone who shares the bucket, and voids slots reserved before it (`generation`). Without
         one, or with one of zero, the wait doubles from 1 s within an outage; the next outage starts two doublings
         lower, not at 1 s.

Invariants (held by `tests/limiter/test_aimd_properties.py`)
------------------------------------------------------------
- min_rate <= rate <= max_rate, always; a throttle never raises the rate; a success never lowers it.
- One success raises the rate by at most increase_step, and one event lowers it at most once.
- Slots never overlap: granted slots are 1/rate apart, but for a burst of `burst`.
- No slot lies inside a cooldown; a cooldown, and a hold, end at most max_cooldown from now.
- A clock that is set back shifts the whole state with it: no wait becomes longer than it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from state.records import LimiterState

if TYPE_CHECKING:
    from limiter.config import ApiRateConfig

# Each constant was chosen on limits drawn at random; benchmarks/ shows what it costs to drop the rule.
HORIZON = 2.0
"""Seconds. At most one look per waiter and horizon; 0.5 to 5 s score alike, no horizon is 3 points worse."""
GROWTH = 0.0075
"""Of the rate, per second, near the ceiling: 10 % takes 13 s. More finds more, and is refused more."""
STEEPEST = 0.05
"""Of the rate: the largest additive step, so that a slow API does not double at each success."""
DEEPEST = 0.67
"""What the deepest cut leaves. One half lands far below after a lockout; 0.8 needs too many events."""
SLACK = 0.99
"""Land this far below what was delivered."""
STALE = 1.1
"""Beyond this multiple of the ceiling, the ceiling no longer says anything."""
HOLD_REQUESTS = 100
"""About one refusal per 100 to 200 requests is the price of knowing the limit."""
HOLD_OUTAGES = 20
"""A lockout of 30 s buys ten quiet minutes."""
LONGEST_BACKOFF = 60.0
"""Seconds; the longest wait of our own choosing."""
MOST_ROUNDS = 7
"""The wait of the seventh is LONGEST_BACKOFF; counting on would take as many outages to forget."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to send.

    Attributes:
        at: Not before then, epoch seconds; once sent, when it was.
        generation: The state's at the reservation; None means no slot yet: look again at `at`.
        paced: The limiter made it wait, so its reply teaches.
    """

    at: float
    generation: int | None
    paced: bool


def fresh(config: ApiRateConfig, now: float) -> LimiterState:
    """A limiter that knows nothing yet."""
    rate = config.initial_rate
    return LimiterState(rate=rate, next_slot=now, since=now, updated_at=now, recorded_rate=rate)


def at_time(state: LimiterState, config: ApiRateConfig, now: float) -> LimiterState:
    """The state, made to fit the time and the configuration of today.

    A clock found before `updated_at` has been set back: every time moves with it. Values that no history of ours can
    have led to (a hand-edited row, a clock that stood in the future) are bounded, so that none stops the bucket, or
    the learning, for longer than `max_cooldown`.
    """
    if not _is_finite(state):
        state = _repaired(state, config, now)
    if now < state.updated_at:
        back = state.updated_at - now
        state = replace(
            state,
            next_slot=state.next_slot - back,
            cooldown_until=max(0.0, state.cooldown_until - back),
            since=state.since - back,
            hold_until=state.hold_until - back,
            cut_at=max(0.0, state.cut_at - back),
            outage_since=max(1e-6, state.outage_since - back) if state.outage_since else 0.0,
            updated_at=now,
        )
    rate = min(config.max_rate, max(config.min_rate, state.rate))
    cooldown_until = min(state.cooldown_until, now + config.max_cooldown)
    farthest = max(now, cooldown_until) + HORIZON + config.burst / config.min_rate
    if (
        rate == state.rate
        and cooldown_until == state.cooldown_until
        and state.next_slot <= farthest
        and state.hold_until <= now + config.max_cooldown
        and max(state.cut_at, state.outage_since) <= now
    ):
        return state
    return replace(
        state,
        rate=rate,
        cooldown_until=cooldown_until,
        next_slot=min(state.next_slot, farthest),
        hold_until=min(state.hold_until, now + config.max_cooldown),
        cut_at=min(state.cut_at, now),
        outage_since=min(state.outage_since, now),
    )


def earliest(state: LimiterState, config: ApiRateConfig, now: float) -> float:
    """When the next request may be sent, epoch seconds."""
    return max(now, state.cooldown_until, state.next_slot - (config.burst - 1) / state.rate)


def tokens(state: LimiterState, config: ApiRateConfig, now: float) -> float:
    """How many requests could go at once, as a real number."""
    if now < state.cooldown_until:
        return 0.0
    return max(0.0, min(float(config.burst), config.burst - (state.next_slot - now) * state.rate))


def reserve(
    state: LimiterState, config: ApiRateConfig, now: float, *, waited: bool = False
) -> tuple[LimiterState, Ticket]:
    """Take the next slot.

    Args:
        state: From `at_time`.
        config: The API.
        now: Epoch seconds.
        waited: This request has waited before (for a slot that was voided, or for the horizon).

    Returns:
        The state, and a ticket to wait for. A ticket without a generation holds no slot: wait, then reserve again.
    """
    at = earliest(state, config, now)
    horizon = max(now, state.cooldown_until) + HORIZON
    if at > horizon:
        return state, Ticket(horizon, None, paced=True)
    idle = max(0.0, now - max(state.next_slot, state.cooldown_until))
    taken = replace(
        state,
        next_slot=max(state.next_slot, at) + 1.0 / state.rate,
        since=state.since + idle,
        updated_at=now,
    )
    return taken, Ticket(at, state.generation, paced=waited or at > now)


def is_void(state: LimiterState, ticket: Ticket) -> bool:
    """Whether a cooldown has begun since the reservation; then the slot is gone and another must be taken."""
    return ticket.generation != state.generation


def succeeded(state: LimiterState, config: ApiRateConfig, now: float, ticket: Ticket) -> LimiterState:
    """Learn from a reply that was not refused. `ticket.at` is when the request was sent."""
    state = replace(state, delivered=state.delivered + 1, updated_at=now)
    if ticket.at < state.cut_at:
        return state  # sent at the rate before the cut: says nothing about this one
    if state.outage_since:
        hold = max(HOLD_OUTAGES * max(1.0, now - state.outage_since), HOLD_REQUESTS / state.rate)
        state = replace(
            state,
            hold_until=now + min(config.max_cooldown, hold * (0.5 if state.surprised else 1.0)),
            outage_since=0.0,
            rounds=max(0, state.rounds - 2),
        )
    elif not ticket.paced:
        return state
    if _in_slow_start(state):
        return _raised(state, config, config.increase_step, probing=state.ceiling > 0)
    if now >= state.hold_until:
        # Successes come at `rate` per second, so this is GROWTH of the rate per second.
        return _raised(state, config, min(config.increase_step, GROWTH), probing=True)
    return state


def throttled(
    state: LimiterState, config: ApiRateConfig, now: float, ticket: Ticket, retry_after: float | None
) -> LimiterState:
    """Learn from a refusal: hold everyone, and cut once an event.

    Args:
        state: From `at_time`.
        config: The API.
        now: Epoch seconds.
        ticket: Of the refused request; `at` is when it was sent.
        retry_after: What the vendor asks for, seconds; None or 0.0 (a date gone by, a number rounded down) if it
            leaves that to us.
    """
    # One doubling per cooldown, not per refusal: the rest of those in flight do not count again.
    rounds = min(MOST_ROUNDS, state.rounds + (ticket.at >= state.cooldown_until))
    wait = retry_after or min(LONGEST_BACKOFF, 2.0 ** max(0, rounds - 1))
    state = held(replace(state, rounds=rounds, throttles=state.throttles + 1), config, now, wait)
    if state.outage_since or ticket.at < state.cut_at:
        return state
    surprise = _in_slow_start(state) or not state.probing
    rate = state.rate * config.decrease_factor
    if surprise:
        measured = SLACK * state.delivered / max(1e-3, state.cooldown_until - state.since)
        rate = min(rate, max(DEEPEST * state.rate, measured))
    rate = max(config.min_rate, rate)
    return replace(
        state,
        rate=rate,
        next_slot=max(state.next_slot, state.cooldown_until + (config.burst - 1) / rate),
        ceiling=state.rate,
        cut_at=now,
        outage_since=now,
        surprised=surprise,
        probing=False,
        delivered=0,
        since=state.cooldown_until,
    )


def held(state: LimiterState, config: ApiRateConfig, now: float, wait: float) -> LimiterState:
    """Nobody sends for `wait` seconds; what was reserved before is void. The rate stays."""
    until = now + min(wait, config.max_cooldown)
    if until <= max(state.cooldown_until, now):
        return replace(state, updated_at=now)
    return replace(
        state,
        cooldown_until=until,
        next_slot=until + (config.burst - 1) / state.rate,  # no burst right after a refusal
        generation=state.generation + 1,
        updated_at=now,
    )


def _is_finite(state: LimiterState) -> bool:
    # One sum, since this runs at every step: anything that is not finite makes it so, too.
    return math.isfinite(
        state.rate
        + state.ceiling
        + state.next_slot
        + state.cooldown_until
        + state.updated_at
        + state.delivered
        + state.since
        + state.hold_until
        + state.cut_at
        + state.outage_since
        + state.rounds
        + state.recorded_rate
    )


def _repaired(state: LimiterState, config: ApiRateConfig, now: float) -> LimiterState:
    """What is sound of a state; the rest is as if nothing were known yet."""
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    return replace(fresh(config, now), **{name: value for name, value in values.items() if math.isfinite(value)})


def _in_slow_start(state: LimiterState) -> bool:
    return not state.ceiling or state.rate > STALE * state.ceiling


def _raised(state: LimiterState, config: ApiRateConfig, step: float, *, probing: bool) -> LimiterState:
    rate = min(config.max_rate, state.rate + min(step, STEEPEST * state.rate))
    return replace(state, rate=rate, probing=probing)

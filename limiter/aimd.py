"""The core: how fast may we ask?  Pure functions over a frozen `LimiterState`; time is an argument.

Theory
------
A vendor lets R requests per second pass and R is hidden. We send at `rate` and hear of R only by being refused. That
is congestion control with one difference: a policer has no queue to drain, so a cut to one half buys nothing. Hence
additive increase, and a decrease that lands on what the vendor has shown it delivers.

pace     GCRA (ITU-T I.371): one number, the theoretical arrival time of the next request (`next_slot`), one slot every
         1/rate seconds; a tolerance of (burst - 1) slots lets a rested client start with a burst, though not right
         after a refusal. No slot is handed out more than HORIZON ahead, the waiter looks again instead: slots reserved
         at an old, slow rate, or by a process that died, would otherwise outlive the rate.
count    What was let go is counted at the reservation, which writes anyway, and not at the reply: the request refused
         first knows how many went before it, and a success that teaches nothing writes nothing.
teach    Only a request that the limiter made wait says anything about the rate; idle time teaches nothing. What was
         sent before the last cut says nothing more: its 429s belong to the same congestion event.
search   Climb by increase_step per success until there is a ceiling (the rate at which the vendor last objected), and
         once it is left behind (STALE), and below FAR_BELOW of the ceiling, hold or not.
probe    Near the ceiling hold still for a while, then grow by GROWTH of the rate per second.
down     Expected (we were probing): back to where the probe began, which was quiet (`trusted`), or x decrease_factor
         if that leaves more. Surprise (searching, or before the hold was served): onto what was delivered since the
         last cut, but not below DEEPEST. Far off (something, but not a second's worth was delivered): FAR_OFF, since
         steps of DEEPEST would cost a lockout each, and the search is soon back.
hold     After an outage no probe for HOLD_OUTAGES times its length or HOLD_REQUESTS requests, whichever is longer.
cooldown Retry-After holds everyone who shares the bucket, and voids slots reserved before it (`generation`). Without
         one, or with one of zero, the wait doubles from 1 s within an outage; the next outage starts two doublings
         lower, not at 1 s.
one      Once an outage has outlived a cooldown, one request asks whether it is over; the next goes a wait later, or
         when the first succeeds. A whole latency's worth would be refused with it.
spared   A refusal that the cap on requests in flight explains (`limiter.in_flight`) holds, but costs no rate. It takes
         the ceiling away: what the vendor objected to before was most likely the number in flight, too.

Invariants (held by `tests/limiter/test_aimd_properties.py`)
------------------------------------------------------------
- min_rate <= rate <= max_rate, always; a throttle never raises the rate; a success never lowers it.
- One success raises the rate by at most increase_step, and one event lowers it at most once.
- Slots never overlap: granted slots are at least 1/rate apart, but for a burst of `burst`.
- No slot lies inside a cooldown; a cooldown, and a hold, end at most max_cooldown from now.
- A clock that is set back shifts the whole state with it: no wait becomes longer than it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from limiter import quota
from limiter.fitting import HORIZON, LONGEST_BACKOFF
from limiter.fitting import at_time as at_time
from limiter.fitting import fresh as fresh
from state.records import LimiterState, changed

if TYPE_CHECKING:
    from limiter.config import ApiRateConfig

# Each constant was chosen on limits drawn at random; `benchmarks/ladder.py` shows what it costs to drop the rule.
GROWTH = 0.0075
"""Of the rate, per second, near the ceiling: 10 % takes 13 s. More finds more, and is refused more."""
GENTLEST = 0.01
"""Of the rate, per success: what GROWTH is at most, so that a slow API is not probed in leaps."""
STEEPEST = 0.07
"""Of the rate: the largest additive step. A slow API must not double at each success, nor be met only after minutes."""
FAR_BELOW = 0.8
"""Of the ceiling: up to here the search is safe enough not to wait; 0.9 is refused too often, 0.7 idles too long."""
STALE = 1.1
"""Beyond this multiple of the ceiling, the ceiling no longer says anything."""
DEEPEST = 0.67
"""What the deepest cut leaves of a rate that was quiet. One half lands far below; 0.8 needs too many events."""
FAR_OFF = 0.1
"""What a refusal within the first second leaves of a rate."""
HOLD_REQUESTS = 80
"""About one refusal per 100 to 200 requests is the price of knowing the limit."""
HOLD_OUTAGES = 20
"""A lockout of 30 s buys ten quiet minutes."""
MOST_ROUNDS = 7
"""The wait of the seventh is LONGEST_BACKOFF; counting on would take as many outages to forget."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to send.

    Attributes:
        at: Not before then, epoch seconds; once sent, when it was.
        generation: The state's at the reservation; None means no slot yet: look again at `at`.
        paced: The limiter made it wait, so its reply teaches.
        before: How many were let go before it since the last cut; what was delivered, if it is refused.
    """

    at: float
    generation: int | None
    paced: bool
    before: int = 0


def earliest(state: LimiterState, config: ApiRateConfig, now: float) -> float:
    """When the next request may be sent, epoch seconds."""
    return max(now, state.cooldown_until, quota.opens(state), state.next_slot - (config.burst - 1) / state.rate)


def tokens(state: LimiterState, config: ApiRateConfig, now: float) -> float:
    """How many requests could go at once, as a real number."""
    if now < max(state.cooldown_until, quota.opens(state)):
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
    horizon = max(now, state.cooldown_until, quota.opens(state)) + HORIZON
    if at > horizon:
        return state, Ticket(horizon, None, paced=True)
    state = quota.renewed(state, config, at)
    taken = changed(
        state,
        next_slot=max(state.next_slot, at) + quota.spacing(state, at) + _pause_of_one(state, config),
        delivered=state.delivered + 1,
        quota_left=quota.taken(state),
        updated_at=now,
    )
    return taken, Ticket(at, state.generation, paced=waited or at > now, before=state.delivered)


def is_void(state: LimiterState, ticket: Ticket) -> bool:
    """Whether a cooldown has begun since the reservation; then the slot is gone and another must be taken."""
    return ticket.generation != state.generation


def succeeded(state: LimiterState, config: ApiRateConfig, now: float, ticket: Ticket) -> LimiterState:
    """Learn from a reply that was not refused: the very same state if it teaches nothing, so that nothing is written.

    `ticket.at` is when the request was sent.
    """
    if ticket.at < state.cut_at or not (ticket.paced or state.outage_since):
        return state  # says nothing about the rate of now
    if state.outage_since:
        hold = max(HOLD_OUTAGES * (now - state.outage_since), HOLD_REQUESTS / state.rate)
        return changed(
            state,
            next_slot=max(now, state.next_slot - _pause_of_one(state, config)),
            hold_until=now + min(config.max_cooldown, hold),
            outage_since=0.0,
            rounds=max(0, state.rounds - 2),
            updated_at=now,
        )
    trusted = state.trusted
    if _is_searching(state):
        step = min(config.increase_step, STEEPEST * state.rate)
    elif now >= state.hold_until:
        # Successes come at `rate` per second, so this is GROWTH of the rate per second.
        step = min(config.increase_step, GROWTH, GENTLEST * state.rate)
        trusted = trusted or state.rate
    else:
        return state
    rate = min(config.max_rate, state.rate + step)
    return changed(state, rate=rate, trusted=trusted, updated_at=now) if rate > state.rate else state


def throttled(
    state: LimiterState,
    config: ApiRateConfig,
    now: float,
    ticket: Ticket,
    retry_after: float | None,
    *,
    spared: bool = False,
) -> LimiterState:
    """Learn from a refusal: hold everyone, and cut once an event.

    Args:
        state: From `at_time`.
        config: The API.
        now: Epoch seconds.
        ticket: Of the refused request; `at` is when it was sent.
        retry_after: What the vendor asks for, seconds; None or 0.0 (a date gone by, a number rounded down) if it
            leaves that to us.
        spared: Something else than the rate explains the refusal.
    """
    # One doubling per cooldown, not per refusal: the rest of those in flight do not count again.
    rounds = min(MOST_ROUNDS, state.rounds + (ticket.at >= state.cooldown_until))
    begins = is_event(state, ticket)
    state = changed(state, rounds=rounds, throttles=state.throttles + 1, updated_at=now)
    state = held(state, config, now, retry_after or _backoff(rounds))
    if not begins:
        return state
    rate = state.rate if spared else max(config.min_rate, _cut(state, config, ticket.before))
    return changed(
        state,
        rate=rate,
        next_slot=max(state.next_slot, state.cooldown_until + (config.burst - 1) / rate),
        ceiling=0.0 if spared else state.rate,
        cut_at=now,
        outage_since=now,
        trusted=0.0,
        delivered=0,
        since=state.cooldown_until,
    )


def is_event(state: LimiterState, ticket: Ticket) -> bool:
    """Whether a refusal of this request is news, and not one more of the outage that is known."""
    return not state.outage_since and ticket.at >= state.cut_at


def held(state: LimiterState, config: ApiRateConfig, now: float, wait: float) -> LimiterState:
    """Nobody sends for `wait` seconds; what was reserved before is void. The rate stays."""
    until = now + min(wait, config.max_cooldown)
    if until <= max(state.cooldown_until, now):
        return state
    return changed(
        state,
        cooldown_until=until,
        next_slot=until + (config.burst - 1) / state.rate,  # no burst right after a refusal
        generation=state.generation + 1,
        updated_at=now,
    )


def _is_searching(state: LimiterState) -> bool:
    return not FAR_BELOW * state.ceiling <= state.rate <= STALE * state.ceiling


def _cut(state: LimiterState, config: ApiRateConfig, delivered: int) -> float:
    if 0.0 < state.trusted < state.rate and not _is_searching(state):
        return _landing(state, config)
    deepest = FAR_OFF if 0 < delivered < state.rate else DEEPEST
    measured = delivered / max(1e-3, state.cooldown_until - state.since)  # until the vendor takes more
    return min(state.rate, max(deepest * state.rate, measured))


def _landing(state: LimiterState, config: ApiRateConfig) -> float:
    return max(state.trusted, config.decrease_factor * state.rate)


def _backoff(rounds: int) -> float:
    return min(LONGEST_BACKOFF, 2.0 ** max(0, min(rounds, MOST_ROUNDS) - 1))


def _pause_of_one(state: LimiterState, config: ApiRateConfig) -> float:
    """Seconds beside 1/rate from one slot to the next, while one request asks whether an outage is over."""
    if not state.outage_since or state.rounds < 2:
        return 0.0
    return max(0.0, min(_backoff(state.rounds), config.max_cooldown) - 1.0 / state.rate)

"""The core of the circuit breaker: is there any use in asking?  Pure functions over a frozen `LimiterState`.

A vendor that is down costs each caller its time-outs and its retries, and gets traffic that it can serve least of all.
So after some faults in a row nobody asks for a while, and then one.

fault    A 500, 502, 503 or 504, a connection that failed, a time-out. Never a throttle: the rate answers to that.
event    What is in flight together meets one fault: only one whose request was sent after the last fault came counts.
         Else eight callers would take a blip of a second for an outage.
open     `failure_threshold` faults in a row: nobody sends for `open_interval`. Slots reserved before are void
         (`generation`), as at a cooldown.
probe    Then one request asks, once no cooldown and no quota forbids it. Its fault opens the circuit again; any answer
         closes it, a refusal too: the vendor is there. A probe that never comes back (its process died) is the next
         caller's after another `open_interval`.
late     Replies to what was sent before the circuit opened neither close it nor keep it open.

Invariants (held by `tests/limiter/test_breaker_properties.py`)
---------------------------------------------------------------
- The circuit itself refuses nobody for longer than `open_interval` from now, whatever the clock or an editor did.
- While it is open at most one request is sent an `open_interval`.
- An answer while nothing is wrong changes nothing.
- The rate, and all that is learned of it, stays as it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from limiter import quota
from state.records import LimiterState

if TYPE_CHECKING:
    from limiter.config import ApiRateConfig


def refuses_until(state: LimiterState, now: float) -> float:
    """When a request may be sent again, epoch seconds; 0.0 if the circuit does not forbid it now.

    Args:
        state: From `fitting.at_time`.
        now: Epoch seconds.
    """
    if not state.open_until:
        return 0.0
    # A probe that had to wait long for its slot would not be one.
    until = max(state.open_until, state.cooldown_until, quota.opens(state))
    return until if now < until else 0.0


def lent(state: LimiterState, config: ApiRateConfig, now: float) -> LimiterState:
    """A slot has been taken: if the circuit is open it is the probe's, and everybody else waits for what comes of it.

    Args:
        state: After the reservation.
        config: The API.
        now: Epoch seconds.
    """
    if not state.open_until or config.breaker is None:
        return state
    return replace(state, open_until=now + config.breaker.open_interval)


def failed(state: LimiterState, config: ApiRateConfig, now: float, sent_at: float) -> LimiterState:
    """Learn from a fault.

    Args:
        state: From `fitting.at_time`.
        config: The API.
        now: Epoch seconds.
        sent_at: When the request was sent, epoch seconds.
    """
    breaker = config.breaker
    if breaker is None or sent_at < state.fault_at:
        return state
    counted = replace(state, faults=state.faults + 1, fault_at=now, updated_at=now)
    if counted.faults < breaker.failure_threshold and not state.open_until:
        return counted
    return replace(counted, open_until=now + breaker.open_interval, generation=state.generation + 1)


def answered(state: LimiterState, now: float, sent_at: float) -> LimiterState:
    """Learn from any reply that is no fault; the same state if nothing was wrong.

    Args:
        state: From `fitting.at_time`.
        now: Epoch seconds.
        sent_at: When the request was sent, epoch seconds.
    """
    if not is_troubled(state) or (state.open_until and sent_at < state.fault_at):
        return state
    return replace(state, faults=0, open_until=0.0, updated_at=now)


def is_troubled(state: LimiterState) -> bool:
    """Whether an answer is news to the circuit."""
    return bool(state.faults or state.open_until)

"""A limiter's state, new or found, as the time and the configuration of today allow it.

A row outlives the process that wrote it, the clock that it was written by and the configuration; somebody's editor may
have been at it. Whatever it says, no bucket stands still, and no limiter stops learning, for longer than
`max_cooldown`. Pure, as `limiter.aimd`, which it belongs to.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from state.records import LimiterState

if TYPE_CHECKING:
    from limiter.config import ApiRateConfig

HORIZON = 1.0
"""Seconds. At most one look per waiter and horizon; shorter gains little, longer hides the rate's changes."""
LONGEST_BACKOFF = 60.0
"""Seconds; the longest wait of our own choosing."""


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
            fault_at=max(0.0, state.fault_at - back),
            open_until=max(0.0, state.open_until - back),
            quota_until=max(0.0, state.quota_until - back),
            updated_at=now,
        )
    rate = min(config.max_rate, max(config.min_rate, state.rate))
    cooldown_until = min(state.cooldown_until, now + config.max_cooldown)
    open_until = (
        min(state.open_until, now + config.breaker.open_interval) if state.open_until and config.breaker else 0.0
    )
    quota_until = min(state.quota_until, now + config.max_cooldown)
    farthest = max(now, cooldown_until, quota_until) + HORIZON + LONGEST_BACKOFF + config.burst / config.min_rate
    if (
        rate == state.rate
        and cooldown_until == state.cooldown_until
        and state.next_slot <= farthest
        and state.hold_until <= now + config.max_cooldown
        and max(state.cut_at, state.outage_since, state.fault_at) <= now
        and open_until == state.open_until
        and quota_until == state.quota_until
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
        fault_at=min(state.fault_at, now),
        open_until=open_until,
        quota_until=quota_until,
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
        + state.trusted
        + state.cut_at
        + state.outage_since
        + state.rounds
        + state.recorded_rate
        + state.faults
        + state.fault_at
        + state.open_until
        + state.quota
        + state.quota_left
        + state.quota_until
        + state.quota_window
    )


def _repaired(state: LimiterState, config: ApiRateConfig, now: float) -> LimiterState:
    """What is sound of a state; the rest is as if nothing were known yet."""
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    return replace(fresh(config, now), **{name: value for name, value in values.items() if math.isfinite(value)})

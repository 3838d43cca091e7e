"""What the vendor says is left, heeded before it refuses. Pure functions over a frozen `LimiterState`.

short    A window of up to FOLLOWED seconds sets the rate: what is left over what is left of it. A rate at which the
         vendor has objected is no longer gone beyond on its word, since the objection was to something else.
long     A longer one is a budget: a short sync may spend it as fast as the learned rate allows. Its last RESERVE is
         spread over the rest of the window, for the others who live on the same quota.
none     When nothing is left, no slot before the reset. That is no cooldown: nobody was refused.
count    Each slot takes one of what is left, in the row that everybody shares. A reply tells what was left when it was
         answered, which those sent since have not been taken from yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from state.records import LimiterState

if TYPE_CHECKING:
    from limiter.config import ApiRateConfig
    from limiter.rate_headers import Told

FOLLOWED = 300.0
"""Seconds. Minutes are spread evenly and nobody minds; with an hour, a sync of a minute would take the hour."""
RESERVE = 0.1
"""Of the quota."""
SAME = 1.5
"""Seconds by which two replies may differ about one reset: most are rounded up to whole seconds."""
NOTED = 0.02
"""Of the rate; less of a change is not worth a write."""


def told(state: LimiterState, config: ApiRateConfig, now: float, before: int, said: Told) -> LimiterState:
    """Learn what a reply says of the quota; the very same state if it is no news.

    Args:
        state: From `at_time`.
        config: The API.
        now: Epoch seconds.
        before: Of the request's ticket.
        said: By the reply.
    """
    until = said.until(now)
    if not now < until <= now + config.max_cooldown:
        return state
    since = state.delivered - before - 1
    left = max(0.0, said.left - (since if since >= 0 else state.delivered))
    window, quota = said.window or state.quota_window, said.quota or state.quota
    if abs(until - state.quota_until) <= SAME:
        until = min(until, state.quota_until)  # rounded up
    elif not said.window and 0 < state.quota_until < until and now - state.quota_until < FOLLOWED:
        window = until - state.quota_until  # what nobody says can be measured
    rate = state.rate
    free = until - max(now, state.next_slot)  # what is granted already has its time
    if 0.0 < window <= FOLLOWED and left and free > 0.0:
        rate = _followed(state, config, max(left / free, quota / window))  # the count keeps it from being too much
    if (
        abs(left - state.quota_left) < 1.0
        and abs(until - state.quota_until) < 0.1
        and abs(rate - state.rate) <= NOTED * state.rate
        and (window, quota) == (state.quota_window, state.quota)
    ):
        return state
    return replace(
        state, rate=rate, quota=quota, quota_left=left, quota_until=until, quota_window=window, updated_at=now
    )


def renewed(state: LimiterState, config: ApiRateConfig, now: float) -> LimiterState:
    """The state once its quota is whole again; until a reply tells more, the next window is taken to be as the last."""
    if not state.quota_until or now < state.quota_until:
        return state
    if not (state.quota and state.quota_window and now < state.quota_until + state.quota_window):
        return replace(state, quota_until=0.0, quota_left=0.0)
    rate = state.rate
    if state.quota_window <= FOLLOWED:
        rate = _followed(state, config, state.quota / state.quota_window)
    return replace(state, rate=rate, quota_left=state.quota, quota_until=state.quota_until + state.quota_window)


def taken(state: LimiterState) -> float:
    """What is left of the quota after one more slot."""
    return max(0.0, state.quota_left - 1.0)


def opens(state: LimiterState) -> float:
    """No slot before, epoch seconds; 0.0 while something is left, or nobody knows."""
    return state.quota_until if state.quota_until and state.quota_left < 1.0 else 0.0


def spacing(state: LimiterState, now: float) -> float:
    """Seconds from one slot to the next."""
    if 1.0 <= state.quota_left < RESERVE * state.quota and not 0.0 < state.quota_window <= FOLLOWED:
        return max(1.0 / state.rate, (state.quota_until - now) / state.quota_left)
    return 1.0 / state.rate


def _followed(state: LimiterState, config: ApiRateConfig, rate: float) -> float:
    if state.ceiling:
        rate = min(rate, max(state.rate, config.decrease_factor * state.ceiling))
    return min(config.max_rate, max(config.min_rate, rate))

"""What the history keeps of a limiter's life: every event, but small increases kept together."""

from __future__ import annotations

from typing import Any

import pytest

from limiter import ApiRateConfig, Limiter, account
from limiter.aimd import Ticket, fresh
from limiter.testing import START
from state import Bucket, HistoryEvent
from state.memory import MemoryStore
from state.records import LimiterState

CONFIG = ApiRateConfig("acme", "https://api.acme.test", initial_rate=2.0, increase_step=0.01)


def history(played: Any) -> list[HistoryEvent]:
    return played.limiter.store.history(played.limiter.bucket)  # type: ignore[no-any-return]


def test_small_increases_are_recorded_together(play: Any) -> None:
    played = play([], times=30, config=CONFIG)
    start, *increases = history(played)
    assert (start.kind, start.rate_after) == ("start", 2.0)
    assert {event.kind for event in increases} == {"increase"}
    assert 5 <= len(increases) < 29 / 2
    for before, after in zip([start, *increases], increases, strict=False):
        assert after.rate_before == before.rate_after, "no gap in the picture"
        assert after.rate_after - after.rate_before >= account.COALESCE * after.rate_before


def test_every_other_event_has_its_row(play: Any) -> None:
    played = play([(429, {"Retry-After": "5"}), 429, 200, (503, {"Retry-After": "9"})], times=2, config=CONFIG)
    rows = [(event.kind, event.status, event.retry_after) for event in history(played)]
    assert rows == [
        ("start", None, None),
        ("backoff", 429, 5.0),
        ("cooldown", 429, None),
        ("recovered", None, None),
        ("cooldown", 503, 9.0),
    ]
    ends = [event.cooldown_until for event in history(played)]
    assert ends[:3] == [0.0, START + 5.0, START + 7.0]
    assert ends[3] == 0.0, "a hold that is over is none"


def test_a_cut_at_the_floor_is_a_backoff_all_the_same(play: Any) -> None:
    floor = ApiRateConfig("acme", "https://api.acme.test", initial_rate=0.1, min_rate=0.1)
    backoff = history(play([429], config=floor))[1]
    assert (backoff.kind, backoff.rate_before, backoff.rate_after) == ("backoff", 0.1, 0.1)


def test_a_ticket_is_used_when_its_waiter_wakes_unless_the_bucket_was_reset_or_held() -> None:
    limiter = Limiter(CONFIG, Bucket("acme"), MemoryStore())
    state = fresh(CONFIG, START)
    ticket = Ticket(START + 1.0, state.generation, paced=True)
    assert limiter.still_valid(state, START + 3.0, ticket) == Ticket(START + 3.0, state.generation, paced=True)
    assert limiter.still_valid(None, START + 3.0, ticket) is None
    held = LimiterState(rate=2.0, generation=state.generation + 1)
    assert limiter.still_valid(held, START + 3.0, ticket) is None


@pytest.mark.parametrize("rate", [2.0, 2.1])
def test_nothing_that_has_a_name_is_no_event(rate: float) -> None:
    before = LimiterState(rate=2.1)
    assert account.event(before, LimiterState(rate=rate), START) is None

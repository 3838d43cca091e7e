"""A deadline for a whole request: waits, sends and tries together, sync and async alike."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from limiter import ApiRateConfig, ConfigurationError, WaitTooLong, make_async_client_for, make_client_for
from limiter.testing import START, FakeClock

SLOW = ApiRateConfig("slow", "https://api.slow.test", initial_rate=0.1, max_rate=0.1)


@pytest.mark.parametrize("deadline", [5.0, 29.9])
def test_a_wait_beyond_it_is_refused_at_once_with_the_time_when_it_would_work(play: Any, deadline: float) -> None:
    played = play([(429, {"Retry-After": "30"})], bounds={"deadline": deadline})
    assert isinstance(played.error, WaitTooLong)
    assert played.error.until == START + 30.0
    assert f"within {deadline:g} s" in str(played.error)
    assert played.clock.sleeps == []


def test_what_fits_is_waited_out(play: Any) -> None:
    assert play([(429, {"Retry-After": "30"})], bounds={"deadline": 31.0}).sends == [0.0, 30.0]


def test_the_smaller_of_the_two_bounds_counts(play: Any) -> None:
    for bounds in ({"deadline": 60.0, "max_wait": 5.0}, {"deadline": 5.0, "max_wait": 60.0}):
        assert "within 5 s" in str(play([(429, {"Retry-After": "30"})], bounds=bounds).error)


def test_a_single_request_may_have_one_of_its_own(play: Any) -> None:
    played = play([(429, {"Retry-After": "30"})], extensions={"deadline": 5.0})
    assert isinstance(played.error, WaitTooLong)
    longer = play([(429, {"Retry-After": "30"})], bounds={"deadline": 5.0}, extensions={"deadline": 500.0})
    assert isinstance(longer.error, WaitTooLong), "but no longer one than its client"


@pytest.mark.parametrize("name", ["deadline", "max_wait"])
@pytest.mark.parametrize("bounds", [{}, {"deadline": 5.0}, {"max_wait": 5.0}])
def test_one_of_its_own_that_cannot_be_is_refused_and_nothing_is_sent(play: Any, name: str, bounds: Any) -> None:
    for wrong in ("5", True, -1, float("nan")):
        played = play([], bounds=bounds, extensions={name: wrong})
        assert isinstance(played.error, ConfigurationError)
        assert name in str(played.error)
        assert played.sends == []


@pytest.mark.parametrize("name", ["deadline", "max_wait"])
def test_none_of_its_own_is_that_of_the_client(play: Any, name: str) -> None:
    extensions = {name: None}
    assert play([(429, {"Retry-After": "30"})], extensions=extensions).sends == [0.0, 30.0]
    assert isinstance(
        play([(429, {"Retry-After": "30"})], bounds={name: 5.0}, extensions=extensions).error, WaitTooLong
    )


def test_who_cannot_be_sent_in_time_takes_no_slot(play: Any) -> None:
    played = play([], times=3, config=SLOW, bounds={"deadline": 5.0})
    assert [type(outcome) for outcome in played.outcomes] == [httpx.Response, WaitTooLong, WaitTooLong]
    assert played.outcomes[1].until == played.outcomes[2].until == START + 10.0


def test_the_time_that_sends_take_counts(play: Any, clock: FakeClock) -> None:
    """Two faults with a time-out each, and the third try would begin too late."""

    class Slow(httpx.ReadTimeout):
        pass

    played = play([httpx.ReadTimeout("slow")] * 5, bounds={"deadline": 2.5})
    assert isinstance(played.error, httpx.ReadTimeout)
    assert played.sends == [0.0, 1.0]


def test_no_time_out_of_a_send_ends_after_it(play: Any) -> None:
    played = play([(429, {"Retry-After": "30"})], bounds={"deadline": 32.0}, timeout=httpx.Timeout(5.0, read=None))
    first, second = (sent.extensions["timeout"] for sent in played.wire.requests)
    assert second == {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 2.0}
    assert played.response.status_code == 200
    assert first is not None


def test_it_goes_on_through_redirects_and_begins_anew_with_the_next_request(play: Any) -> None:
    moved = (302, {"Location": "/elsewhere"})
    script = [(429, {"Retry-After": "3"}), moved, (429, {"Retry-After": "3"}), 200]
    played = play(script, bounds={"deadline": 7.0}, client={"follow_redirects": True})
    assert played.sends == [0.0, 3.0, pytest.approx(3.7, abs=0.1), pytest.approx(6.7, abs=0.1)]
    played = play(script, bounds={"deadline": 5.0}, client={"follow_redirects": True})
    assert isinstance(played.error, WaitTooLong)
    again = play(
        [(429, {"Retry-After": "3"}), 200, (429, {"Retry-After": "3"}), 200], times=2, bounds={"deadline": 4.0}
    )
    assert [each.status_code for each in again.outcomes] == [200, 200]


@pytest.mark.parametrize("make", [make_client_for, make_async_client_for])
@pytest.mark.parametrize("deadline", [-1, "soon", True])
def test_one_that_cannot_be_is_refused(make: Any, deadline: Any) -> None:
    with pytest.raises(ConfigurationError, match="deadline"):
        make("notion", deadline=deadline)

"""Rate headers: read in every form, and heeded before a refusal."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter import ApiRateConfig, ConfigurationError, RateHeaders, make_client_from_config, quota
from limiter.aimd import at_time, fresh, reserve
from limiter.client import AsyncAimdClient
from limiter.limiter import Limiter
from limiter.rate_headers import Told, read
from limiter.testing import START, FakeClock
from simulator.windows import FixedWindow
from state import Bucket
from state.memory import MemoryStore
from tests.limiter.test_learns import VirtualLoop, in_virtual_time

NAMES = RateHeaders()


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"ratelimit": '"permin";r=20;t=23', "ratelimit-policy": '"permin";q=50;w=60'}, Told(20, 23, False, 50, 60)),
        ({"ratelimit": '"permin";r=0', "ratelimit-policy": '"permin";q=50;w=60'}, Told(0, 60, False, 50, 60)),
        ({"ratelimit": '"day";r=900;t=9000, "minute";r=3;t=40'}, Told(3, 40)),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, Told(50, 5, False, 100)),
        ({"ratelimit-limit": "10", "ratelimit-remaining": "4", "ratelimit-reset": "7"}, Told(4, 7, False, 10)),
        (
            {
                "x-ratelimit-limit": "5000",
                "x-ratelimit-remaining": "4999",
                "x-ratelimit-reset": "1764036000",
                "x-ratelimit-resource": "core",
            },
            Told(4999, 1764036000, True, 5000, resource="core"),
        ),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "1764036000123"}, Told(1, 1764036000.123, True)),
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "6m0.5s",
            },
            Told(59, 360.5, False, 60),
        ),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "12ms"}, Told(1, 0.012)),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "Thu, 01 Jan 1970 00:00:30 GMT"}, Told(1, 30.0, True)),
        (
            {
                "x-ratelimit-limit": "100, 100;window=60, 10000;window=86400",
                "x-ratelimit-remaining": "98",
                "x-ratelimit-reset": "3",
            },
            Told(98, 3, False, 100, 60),
        ),
        ({"x-ratelimit-remaining": "5, 5", "x-ratelimit-reset": "10, 10"}, Told(5, 10)),
    ],
)
def test_every_form_is_read(headers: dict[str, str], told: Told) -> None:
    assert read(NAMES, httpx.Headers(headers)) == told


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit": ""},
        {"ratelimit": '"a";r=-1;t=5'},
        {"ratelimit": '"a";t=5'},
        {"ratelimit": '"a";r=5'},
        {"ratelimit": '"a";r="many";t=5'},
        {"ratelimit": "limit=100, remaining=-50, reset=5"},
        {"ratelimit": '"a";r=1e9;t=3'},
        {"x-ratelimit-remaining": "NaN", "x-ratelimit-reset": "3"},
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1e999"},
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "-5"},
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": ""},
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "9" * 20},
        {"x-ratelimit-remaining": "3"},
        {"x-ratelimit-reset": "3"},
        {"x-ratelimit-remaining": "5, 6", "x-ratelimit-reset": "10"},
    ],
)
def test_what_is_malformed_is_as_good_as_none(headers: dict[str, str]) -> None:
    assert read(NAMES, httpx.Headers(headers)) is None


@given(st.dictionaries(st.sampled_from(["ratelimit", "ratelimit-policy", *NAMES.remaining, *NAMES.reset]), st.text()))
def test_nothing_a_vendor_may_send_is_an_error(headers: dict[str, str]) -> None:
    told = read(NAMES, headers)
    assert told is None or (told.left >= 0 and math.isfinite(told.left) and math.isfinite(told.reset))


def test_the_names_can_be_configured() -> None:
    config = ApiRateConfig(
        "acme",
        "https://api.acme.test",
        rate_headers={"remaining": "X-Left", "reset": ["X-Again", "X-Other"], "window": 10},  # type: ignore[arg-type]
    )
    assert read(config.rate_headers, httpx.Headers({"x-left": "3", "x-other": "4"})) == Told(3, 4, window=10)
    assert read(RateHeaders(ignored=True), httpx.Headers({"ratelimit": '"a";r=1;t=2'})) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"left": "x"},
        {"window": "long"},
        {"window": -1.0},
        {"window": math.inf},
        {"ignored": 1},
        {"remaining": 3},
        {"reset": ["x-again", 3]},
        {"limit": "X é"},
        {"resource": "é"},
        {"resource": None},
        "x-left",
    ],
    ids=repr,
)
def test_names_that_cannot_be_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^API 'acme': rate_headers.*\. Nothing was sent"):
        ApiRateConfig("acme", "https://api.acme.test", rate_headers=wrong)
    if isinstance(wrong, dict) and "left" not in wrong:
        with pytest.raises(ConfigurationError, match=rf"^rate_headers: {next(iter(wrong))} "):
            RateHeaders(**wrong)


Tell = Callable[[int, int, float, float], dict[str, str]]
"""Of a window's count, how many are left, when it ends (seconds from now) and the time (epoch)."""
FORMS: dict[str, Tell] = {
    "structured": lambda count, left, ends, now: {
        "RateLimit-Policy": f'"w";q={count};w=10',
        "RateLimit": f'"w";r={left};t={math.ceil(ends)}',
    },
    "three fields": lambda count, left, ends, now: {
        "RateLimit-Limit": str(count),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(math.ceil(ends)),
    },
    "epoch": lambda count, left, ends, now: {
        "X-RateLimit-Limit": str(count),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(math.ceil(now + ends)),
    },
    "duration": lambda count, left, ends, now: {
        "x-ratelimit-limit-requests": str(count),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": f"{math.ceil(ends)}s",
    },
}


async def served(
    loop: VirtualLoop,
    window: FixedWindow,
    tell: Tell,
    seconds: float,
    *,
    callers: int = 8,
    others: float = 0.0,
    config: ApiRateConfig | None = None,
) -> tuple[list[float], list[float], MemoryStore]:
    """Callers that always want more, behind a window whose vendor tells what is left."""
    config = config or ApiRateConfig("acme", "https://api.acme.test", initial_rate=2.0, max_rate=50.0)
    store = MemoryStore(clock=loop.time)
    limiter = Limiter(config, Bucket("acme"), store)
    let, refused = [], []
    ends = loop.time() + seconds
    next_other = loop.time()

    async def reply(_: httpx.Request) -> httpx.Response:
        nonlocal next_other
        await asyncio.sleep(0.05)
        now = loop.time()
        while others and next_other < now:  # somebody else's requests on the same quota
            window.admit(next_other)
            next_other += 1 / others
        verdict = window.admit(now)
        (let if verdict.allowed else refused).append(now)
        count, used, until = window.quota(now)
        headers = tell(count, count - used, until - now, now)
        await asyncio.sleep(0.05)
        if verdict.allowed:
            return httpx.Response(200, headers=headers)
        return httpx.Response(429, headers={**headers, "Retry-After": str(math.ceil(verdict.retry_after))})

    async with AsyncAimdClient(limiter, transport=httpx.MockTransport(reply)) as client:

        async def caller() -> None:
            while loop.time() < ends:
                await client.get("/")

        await asyncio.gather(*(caller() for _ in range(callers)))
    return let, refused, store


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("callers", [1, 8])
def test_with_headers_a_fixed_window_never_has_to_refuse(form: str, callers: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        let, refused, _ = await served(loop, FixedWindow(50, 10), FORMS[form], 600.0, callers=callers)
        assert refused == []
        late = [at for at in let if at > START + 60]
        assert len(late) / 540 >= (0.965 if form == "epoch" else 0.98) * 5.0  # whole seconds of the epoch are coarse

    in_virtual_time(main)


def test_somebody_else_on_the_same_quota_is_made_room_for() -> None:
    async def main(loop: VirtualLoop) -> None:
        let, refused, store = await served(loop, FixedWindow(50, 10), FORMS["structured"], 600.0, others=2.0)
        assert len(refused) <= 61, "the last of a window may go to somebody else"
        assert store.read(Bucket("acme"))[0].ceiling == 0.0, "which says nothing about the rate"  # type: ignore[union-attr]
        assert len([at for at in let if at > START + 60]) / 540 >= 0.85 * 3.0

    in_virtual_time(main)


def test_a_long_quota_is_a_budget_and_not_a_rate() -> None:
    """5,000 an hour are 1.4 a second; a sync of two minutes need not be that slow."""

    async def main(loop: VirtualLoop) -> None:
        config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=4.0, max_rate=15.0)
        let, refused, _ = await served(loop, FixedWindow(5000, 3600), FORMS["epoch"], 120.0, config=config)
        assert refused == []
        assert len(let) / 120 > 4.0

    in_virtual_time(main)


def test_the_last_tenth_of_a_budget_is_spread_over_the_rest_of_its_window() -> None:
    async def main(loop: VirtualLoop) -> None:
        config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=10.0, max_rate=15.0)
        let, refused, _ = await served(loop, FixedWindow(1000, 3600, 0.0), FORMS["epoch"], 1800.0, config=config)
        assert refused == []
        assert len([at for at in let if at < START + 100]) > 890, "nine tenths as fast as it goes"
        assert 20 < len([at for at in let if at > START + 900]) < 60, "and of the last tenth, a quarter in a quarter"

    in_virtual_time(main)


def test_nothing_left_holds_everyone_until_the_reset_and_cuts_nothing(play: Any) -> None:
    empty = {"RateLimit": '"w";r=0;t=20', "RateLimit-Policy": '"w";q=100;w=60'}
    played = play([(200, empty)], times=3)
    assert played.sends[:2] == [0.0, 20.0]
    snapshot = played.limiter.snapshot()
    assert snapshot["throttles"] == 0
    assert played.limiter.store.history(played.limiter.bucket)[-1].kind != "backoff"


def test_while_nothing_is_left_the_snapshot_says_until_when(play: Any) -> None:
    snapshot = play([(200, {"RateLimit": '"w";r=0;t=20'})]).limiter.snapshot()
    assert snapshot["cooldown_until"] == START + 20.0
    assert snapshot["tokens"] == 0.0


@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_quota_is_waited_out_and_costs_no_rate(play: Any, status: int) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(START) + 1200), "x-ratelimit-limit": "5000"}
    played = play([(status, headers)], url="/user", api="github")
    assert played.sends == [0.0, 1200.0]
    assert played.limiter.snapshot()["current_rate"] == 2.0


def test_retry_after_wins_over_what_the_headers_say(play: Any) -> None:
    headers = {"RateLimit": '"w";r=10;t=50', "Retry-After": "30"}
    assert play([(429, headers)]).sends == [0.0, 30.0]


def test_a_rate_at_which_the_vendor_objected_is_not_gone_beyond_on_its_word() -> None:
    config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=4.0, max_rate=50.0)
    state = fresh(config, START)
    state, ticket = reserve(state, config, START)
    generous = Told(1000, 10, quota=1000, window=10)
    assert quota.told(state, config, START, ticket.before, generous).rate == 50.0
    from limiter.aimd import throttled

    cut = throttled(state, config, START, ticket, 1.0)
    assert quota.told(cut, config, START, ticket.before, generous).rate <= 4.0


@given(
    left=st.floats(0, 1e6),
    reset=st.floats(0, 2e9),
    epoch=st.booleans(),
    quota_=st.floats(0, 1e6),
    window=st.floats(0, 1e5),
    before=st.integers(0, 100),
    jump=st.floats(-7200, 200_000),
)
def test_whatever_is_told_stops_a_bucket_for_no_longer_than_the_longest_cooldown(
    left: float, reset: float, epoch: bool, quota_: float, window: float, before: int, jump: float
) -> None:
    config = ApiRateConfig("acme", "https://api.acme.test")
    state = quota.told(fresh(config, START), config, START, before, Told(left, reset, epoch, quota_, window))
    assert config.min_rate <= state.rate <= config.max_rate
    now = START + jump
    later = quota.renewed(at_time(state, config, now), config, now)
    assert later.quota_left >= 0
    after, ticket = reserve(later, config, now)
    assert ticket.at <= now + config.max_cooldown + 1.0
    assert after.quota_left >= 0


def test_a_reply_that_tells_no_news_writes_nothing(clock: FakeClock) -> None:
    config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=1.0)
    state = fresh(config, START)
    state, ticket = reserve(state, config, START)
    state = quota.told(state, config, START, ticket.before, Told(99, 100, quota=100, window=100))
    state, ticket = reserve(state, config, START + 1)
    assert quota.told(state, config, START + 1.2, ticket.before, Told(98, 99, quota=100, window=100)) is state


def test_the_client_of_a_test_double_may_tell_too(clock: FakeClock) -> None:
    config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=1.0, max_rate=20.0)
    vendor = httpx.MockTransport(lambda _: httpx.Response(200, headers={"RateLimit": '"w";r=40;t=10;q=50;w=10'}))
    store = MemoryStore(clock=clock)
    with make_client_from_config(config, store=store, transport=vendor, sleep=clock.sleep) as client:
        client.get("/")
        assert client.limiter.snapshot()["current_rate"] == pytest.approx(5.0)
        assert [event.kind for event in store.history(client.limiter.bucket)] == ["start", "told"]

"""What happens to a reply, through both transports: who is sent again, when, how often, and what the caller gets."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from limiter import (
    AimdClient,
    ApiRateConfig,
    Bounds,
    ConfigurationError,
    Limiter,
    Terminal,
    Throttled,
    WaitTooLong,
    aimd,
    api_config,
)
from limiter.bounds import FAULT_TRIES
from limiter.errors import AimdError, TryLater, VendorError
from limiter.exchange import LOOK_AGAIN
from limiter.testing import START, FakeClock
from state import Bucket
from state.memory import MemoryStore
from state.records import Decision

SLOW = ApiRateConfig("slow", "https://api.slow.test", initial_rate=0.02, min_rate=0.001, max_rate=0.02)
SAFE: list[dict[str, Any]] = [
    {"method": "GET"},
    {"method": "HEAD"},
    {"method": "OPTIONS"},
    {"method": "POST", "json": {"q": 1}, "extensions": {"safe": True}},
]
UNSAFE: list[dict[str, Any]] = [
    {"method": "POST", "json": {"q": 1}},
    {"method": "PATCH"},
    {"method": "PUT"},
    {"method": "DELETE"},
    {"method": "POST", "extensions": {"safe": "yes"}},
]
FAULTS: list[Any] = [
    500,
    502,
    503,
    504,
    (503, {"Retry-After": "soon"}),
    (503, {"Retry-After": "0"}),
    httpx.ConnectError("refused"),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.ConnectTimeout("too slow"),
    httpx.ReadTimeout("too slow"),
    httpx.PoolTimeout("too many"),
    httpx.RemoteProtocolError("server disconnected"),
]


def named(values: list[Any]) -> list[str]:
    return [
        f"{v['method']}{'+safe' if v.get('extensions') else ''}" if isinstance(v, dict) else repr(v) for v in values
    ]


@pytest.mark.parametrize("request_", [*SAFE, *UNSAFE], ids=named([*SAFE, *UNSAFE]))
@pytest.mark.parametrize("status", [429, 529])
def test_throttled_is_sent_again_whatever_the_method(play: Any, status: int, request_: dict[str, Any]) -> None:
    played = play([(status, {"Retry-After": "30"}), status, status], **request_)
    assert played.response.status_code == 200
    # What the vendor asked for, then its refusal without advice: second and third of the same outage.
    assert played.sends == [0.0, 30.0, 32.0, 36.0]
    assert len({(sent.method, str(sent.url)) for sent in played.wire.requests}) == 1
    assert len(set(played.wire.bodies)) == 1
    assert played.limiter.snapshot()["current_rate"] == pytest.approx(2.0 * 0.67), "three refusals, one event"


@pytest.mark.parametrize("request_", SAFE, ids=named(SAFE))
def test_overloaded_holds_without_a_cut_and_is_sent_again_if_safe(play: Any, request_: dict[str, Any]) -> None:
    played = play([(503, {"Retry-After": "30"})] * 2, **request_)
    assert played.response.status_code == 200
    assert played.sends == [0.0, 30.0, 60.0]
    assert played.limiter.snapshot()["current_rate"] >= 2.0
    assert played.limiter.tally.throttled == 0


@pytest.mark.parametrize("request_", UNSAFE, ids=named(UNSAFE))
def test_overloaded_is_returned_if_the_request_may_have_been_carried_out(play: Any, request_: dict[str, Any]) -> None:
    played = play([(503, {"Retry-After": "30"})], **request_)
    assert (played.response.status_code, played.sends) == (503, [0.0])
    assert played.response.text == "answer 1"
    assert played.limiter.snapshot()["cooldown_until"] == START + 30.0, "but it holds everyone"


@pytest.mark.parametrize("request_", SAFE, ids=named(SAFE))
@pytest.mark.parametrize("fault", FAULTS, ids=named(FAULTS))
def test_a_fault_is_tried_three_times_if_safe(play: Any, fault: Any, request_: dict[str, Any]) -> None:
    assert play([fault, fault], **request_).sends == [0.0, 1.0, 3.0]
    played = play([fault] * 5, **request_)
    assert len(played.sends) == FAULT_TRIES
    (outcome,) = played.outcomes
    if isinstance(fault, Exception):
        assert outcome is fault
    else:
        assert outcome.status_code == (fault if isinstance(fault, int) else fault[0])
    assert played.limiter.snapshot()["current_rate"] == 2.0, "a fault says nothing about the limit"


@pytest.mark.parametrize("request_", UNSAFE, ids=named(UNSAFE))
@pytest.mark.parametrize("fault", FAULTS, ids=named(FAULTS))
def test_a_fault_is_the_callers_if_the_request_is_unsafe(play: Any, fault: Any, request_: dict[str, Any]) -> None:
    assert play([fault], **request_).sends == [0.0]


@pytest.mark.parametrize(
    "error", [httpx.UnsupportedProtocol("x"), httpx.LocalProtocolError("x"), httpx.ProxyError("x")]
)
def test_an_error_that_trying_again_cannot_mend_is_raised_at_once(play: Any, error: Exception) -> None:
    assert play([error]).outcomes == [error]


def test_faults_and_refusals_are_counted_apart(play: Any) -> None:
    played = play([429, 429, 429, 500, 429, 500, 500])
    assert played.response.status_code == 500
    assert len(played.sends) == 7


def test_the_thirty_seconds_of_a_fault_begin_with_it(play: Any) -> None:
    played = play([(429, {"Retry-After": "600"}), 500])
    assert played.response.status_code == 200
    assert played.sends == [0.0, 600.0, 601.0]


def test_no_fault_is_tried_again_after_thirty_seconds(play: Any) -> None:
    # A slot comes every 50 s, so that the second try, 50 s after the first, was the last.
    played = play([500, 500, 500], config=SLOW)
    assert (played.response.status_code, played.sends) == (500, [0.0, 50.0])


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_refused_is_returned_at_once_and_teaches_nothing(play: Any, status: int) -> None:
    played = play([status] * 5, times=5)
    assert [outcome.status_code for outcome in played.outcomes] == [status] * 5
    assert played.limiter.snapshot()["current_rate"] == 2.0


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 409])
def test_the_rest_is_fine_and_teaches_once_it_had_to_wait(play: Any, status: int) -> None:
    played = play([status] * 5, times=5)
    assert played.limiter.snapshot()["current_rate"] == pytest.approx(2.4), "the first of five had not waited"
    assert played.sends[:2] == [0.0, 0.5]


def test_terminal_is_raised_at_once_and_holds_nobody(play: Any) -> None:
    reply = httpx.Response(429, headers={"Retry-After": "60"}, json={"error": {"code": "insufficient_quota"}})
    played = play([reply], api="openai")
    error = played.error
    assert isinstance(error, Terminal)
    assert (error.reason, error.response.json()) == ("insufficient_quota", {"error": {"code": "insufficient_quota"}})
    snapshot = played.limiter.snapshot()
    assert (snapshot["cooldown_until"], snapshot["throttles"], played.sends) == (0.0, 0, [0.0])


@pytest.mark.parametrize("max_retries", [0, 1, 3, 20])
def test_max_retries_bounds_the_sends(play: Any, max_retries: int) -> None:
    played = play([429] * 50, bounds={"max_retries": max_retries})
    error = played.error
    assert isinstance(error, Throttled)
    assert len(played.sends) == max_retries + 1
    assert f"{max_retries + 1} times" in str(error)
    assert error.until == played.limiter.snapshot()["cooldown_until"] > played.clock()
    assert played.limiter.tally.throttled == max_retries + 1


def test_overloaded_for_longer_than_max_retries_is_the_last_reply(play: Any) -> None:
    played = play([(503, {"Retry-After": "1"})] * 9, bounds={"max_retries": 2})
    assert (played.response.status_code, len(played.sends), played.response.text) == (503, 3, "answer 3")


def test_a_wait_beyond_max_wait_raises_at_once_and_takes_no_slot(play: Any, clock: Any) -> None:
    store = MemoryStore(clock=clock)
    play([(503, {"Retry-After": "60"})], "POST", store=store)
    before = [*store.buckets()]
    played = play([], store=store, bounds={"max_wait": 59.0})
    error = played.error
    assert isinstance(error, WaitTooLong)
    assert (played.sends, played.clock.sleeps, error.until, error.response) == ([], [], START + 60.0, None)
    assert [*store.buckets()] == before
    assert "nothing was sent" in str(error)
    assert play([], store=store, bounds={"max_wait": 60.0}).response.status_code == 200


@pytest.mark.parametrize(("seconds", "said"), [(60, "08:01:00 UTC"), (3600, "09:00 UTC"), (80_000, "16 Jan 06:14 UTC")])
@pytest.mark.parametrize("bounds", [{"max_wait": 5.0}, {"max_retries": 0}])
def test_an_error_says_the_day_if_the_time_alone_would_not(play: Any, seconds: int, said: str, bounds: Any) -> None:
    error = play([(429, {"Retry-After": str(seconds)})], bounds=bounds).error
    assert str(error).endswith(f" from {said} on.")


def test_max_wait_bounds_the_waits_of_a_request_taken_together(play: Any) -> None:
    played = play([(429, {"Retry-After": "20"})] * 9, bounds={"max_wait": 50.0})
    error = played.error
    assert isinstance(error, WaitTooLong)
    assert played.sends == [0.0, 20.0, 40.0]
    assert (error.response.status_code, error.retry_after) == (429, 20.0)
    assert "refused" in str(error)


def test_max_wait_bounds_the_waits_of_a_request_and_its_redirects_taken_together(play: Any) -> None:
    script = [(429, {"Retry-After": "2"}), (302, {"Location": "/other"}), (429, {"Retry-After": "2"}), 200]
    options: dict[str, Any] = {"client": {"follow_redirects": True}}
    assert play(script, bounds={"max_wait": 4.8}, **options).response.status_code == 200
    played = play(script, bounds={"max_wait": 4.7}, **options)
    assert isinstance(played.error, WaitTooLong)
    assert len(played.sends) == 3
    again = play([(429, {"Retry-After": "2"}), 200] * 2, times=2, bounds={"max_wait": 4.9})
    assert [each.status_code for each in again.outcomes] == [200, 200], "the next request begins anew"


def test_max_wait_bounds_the_pauses_between_faults_too(play: Any) -> None:
    for fault in (500, httpx.ReadError("reset")):
        played = play([fault] * 9, bounds={"max_wait": 2.0})
        assert (played.sends, sum(played.clock.sleeps)) == ([0.0, 1.0], 1.0)
        assert not isinstance(played.outcomes[0], WaitTooLong), "the fault itself says more"
        played.clock.sleeps.clear()
        assert play([fault] * 9, bounds={"max_wait": 0.0}).sends == [0.0]


def test_with_no_patience_at_all_a_free_slot_is_used(play: Any) -> None:
    played = play([], times=2, bounds={"max_wait": 0.0})
    assert played.outcomes[0].status_code == 200
    assert isinstance(played.outcomes[1], WaitTooLong)


def test_other_statuses_back_off_where_asked(play: Any) -> None:
    played = play([420, (420, {"Retry-After": "9"})], "POST", bounds={"backoff_status_codes": (420,)})
    assert (played.response.status_code, played.sends) == (200, [0.0, 1.0, 10.0])
    assert play([420]).response.status_code == 420
    assert play([429], bounds={"backoff_status_codes": ()}).sends == [0.0, 1.0], "it adds, and takes nothing away"


def one_way_body(mode: str, what: str) -> dict[str, Any]:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"evidence"

    if what == "an upload":
        return {"files": {"file": b"evidence"}}
    return {"content": iter([b"evidence"]) if mode == "sync" else chunks()}


@pytest.mark.parametrize("what", ["a stream", "an upload"])
def test_a_body_that_cannot_be_replayed_is_never_sent_again(play: Any, what: str) -> None:
    def make() -> dict[str, Any]:
        return one_way_body(play.mode, what)

    throttled = play([429, 429], "PUT", make=make)
    assert isinstance(throttled.error, Throttled)
    assert throttled.sends == [0.0]
    assert "cannot be sent again" in str(throttled.error)
    assert throttled.limiter.snapshot()["throttles"] == 1
    assert play([500], "PUT", make=make, extensions={"safe": True}).sends == [0.0]


def test_each_response_is_closed_before_the_next_send(play: Any) -> None:
    played = play([429, 500, (503, {"Retry-After": "1"}), 200])
    assert played.response.text == "answer 4"
    assert played.wire.log == ["send", "close", "send", "close", "send", "close", "send", "close"]


def test_rates_far_below_one_in_two_seconds_work(play: Any) -> None:
    played = play([], times=4, config=SLOW)
    assert played.sends == [0.0, 50.0, 100.0, 150.0]


def test_a_waiter_that_was_woken_late_still_teaches(clock: FakeClock) -> None:
    # The slot is 2.5 s away, beyond the horizon: it looks again in a second, two too late.
    config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=0.4, increase_step=0.02)
    limiter = Limiter(config, Bucket("acme"), MemoryStore(clock=clock))
    wire = httpx.MockTransport(lambda _: httpx.Response(200))
    with AimdClient(limiter, transport=wire, sleep=lambda seconds: clock.sleep(seconds + 2.0)) as client:
        client.get("/")
        client.get("/")
    assert clock.sleeps == [3.0]
    assert limiter.snapshot()["current_rate"] == pytest.approx(0.42)


def test_a_refusal_holds_everyone_who_shares_the_bucket(play: Any, clock: Any) -> None:
    store = MemoryStore(clock=clock)
    play([(429, {"Retry-After": "90"})], bounds={"max_retries": 0}, store=store)
    other = play([], store=store)
    assert other.sends == [90.0]


@pytest.mark.parametrize("others", [["workspace"], ["workspace", "endpoint-users"]])
def test_a_named_limit_that_holds_while_another_is_waited_for_is_waited_out_too(
    play: Any, clock: FakeClock, others: list[str]
) -> None:
    store, config = MemoryStore(clock=clock), api_config("notion")
    play([], store=store)  # so that the main limit has to be waited for
    for scope in others:  # which the vendor has named before
        store.transact(Bucket("notion", scope), lambda _, now: Decision(aimd.fresh(config, now), None))

    def sleep(seconds: float) -> None:
        FakeClock.sleep(clock, seconds)
        if len(clock.sleeps) == 1:  # meanwhile, in another process
            store.transact(
                Bucket("notion", "workspace"), lambda found, now: Decision(aimd.held(found, config, now, 30.0), None)
            )

    clock.sleep = sleep  # type: ignore[method-assign]
    assert play([], url="/users", store=store).sends == [30.5]


def test_whoever_waits_for_long_hears_of_a_reset(play: Any, clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)

    def sleep(seconds: float) -> None:
        FakeClock.sleep(clock, seconds)
        if clock() == START + 120.0:  # by `aimd limiter reset`
            store.reset(Bucket("notion"))

    clock.sleep = sleep  # type: ignore[method-assign]
    played = play([(429, {"Retry-After": "80000"})], store=store)
    assert played.sends == [0.0, 120.0]
    assert played.limiter.tally.waited == 120.0


def test_a_long_wait_is_as_long_as_it_is(play: Any) -> None:
    played = play([(429, {"Retry-After": "80000"})], bounds={"max_wait": 80_000.0})
    assert played.sends == [0.0, 80_000.0]
    assert max(played.clock.sleeps) == LOOK_AGAIN
    assert played.limiter.tally.waited == sum(played.clock.sleeps) == 80_000.0


def test_a_date_in_a_reply_counts_from_when_it_came(clock: FakeClock) -> None:
    sends: list[float] = []

    def vendor(_: httpx.Request) -> httpx.Response:
        sends.append(clock() - START)
        clock.now += 5.0
        return httpx.Response(429 if len(sends) == 1 else 200, headers={"Retry-After": "2027-01-15T08:00:30Z"})

    limiter = Limiter(api_config("notion"), Bucket("notion"), MemoryStore(clock=clock))
    with AimdClient(
        limiter, Bounds(monotonic=clock), transport=httpx.MockTransport(vendor), sleep=clock.sleep
    ) as client:
        client.get("/")
    assert (sends, clock.sleeps) == ([0.0, 30.0], [25.0])


def test_the_clients_own_figures(play: Any) -> None:
    played = play([(429, {"Retry-After": "30"}), 500, 200], times=2)
    snapshot = played.limiter.snapshot()
    assert (snapshot["requests"], snapshot["throttled"]) == (4, 1)
    pause = 1.0  # after the fault: no wait of the limiter's making
    assert snapshot["waited"] == pytest.approx(sum(played.clock.sleeps) - pause)


def test_an_error_is_an_httpx_error_and_says_all(play: Any) -> None:
    details = {"rate_limit_reason": "public_api_request_rate_limit", "retry_after": "49"}
    reply = httpx.Response(429, json={"additional_data": details}, headers={"x-request-id": "r1"})
    error = play([reply], url="/users", bounds={"max_retries": 0}).error
    for kind in (httpx.HTTPError, AimdError, VendorError, TryLater, Throttled):
        assert isinstance(error, kind)
    assert str(error.request.url) == "https://api.notion.com/v1/users"
    assert (error.response.status_code, error.response.headers["x-request-id"]) == (429, "r1")
    assert error.response.json() == {"additional_data": details}
    assert (error.api, error.bucket, error.retry_after) == ("notion", "notion/default/default", 49.0)
    assert (error.reason, error.until) == ("public_api_request_rate_limit", START + 49.0)


def test_an_error_travels_between_processes_without_the_credentials(play: Any) -> None:
    error = play([429], bounds={"max_retries": 0}, headers={"Authorization": "Bearer hunter2"}).error
    pickled = pickle.dumps(error)
    assert b"hunter2" not in pickled
    again = pickle.loads(pickled)
    kept = ("api", "bucket", "until", "retry_after", "reason")
    assert type(again) is Throttled
    assert str(again) == str(error)
    assert [getattr(again, name) for name in kept] == [getattr(error, name) for name in kept]


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"max_retries": None},
        {"max_wait": -1.0},
        {"max_wait": float("nan")},
        {"max_wait": "5"},
        {"max_wait": True},
        {"backoff_status_codes": 429},
        {"backoff_status_codes": "429"},
        {"backoff_status_codes": ["429"]},
        {"backoff_status_codes": None},
    ],
    ids=repr,
)
def test_bounds_that_cannot_work_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(bounds))):
        Bounds(**bounds)


def test_the_presets_host_is_the_one_that_is_asked(play: Any) -> None:
    played = play([], url="/users")
    (request,) = played.wire.requests
    assert str(request.url) == "https://api.notion.com/v1/users"
    assert request.headers["notion-version"] == api_config("notion").headers["Notion-Version"]

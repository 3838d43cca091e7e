"""Who hears of a limiter's changes: all of them, once, after they are kept, and whoever fails harms nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from limiter import Hook, LimiterEvent, Terminal, hooks, make_async_client_for, make_client_for
from limiter.testing import START, Answer, FakeClock, ScriptedVendor
from state import Bucket
from state.memory import MemoryStore
from state.records import Decision

Send = Callable[..., MemoryStore]


def blocked() -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": "60"}, text="public_api_request_blocked")


@pytest.fixture(autouse=True)
def _nobody_has_failed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_complained", set())


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, clock: FakeClock) -> Send:
    """Send requests through a client with hooks until the script is used up."""

    def run(script: Iterable[Answer], *heard: Hook, times: int = 1, **options: Any) -> MemoryStore:
        store = MemoryStore(clock=clock)
        vendor = ScriptedVendor(script, clock)
        options = {"store": store, "transport": vendor.transport, "hooks": heard, **options}

        async def awaiting() -> None:
            async with make_async_client_for("notion", sleep=clock.asleep, **options) as client:
                for _ in range(times):
                    await client.get("/users")

        if request.param == "async":
            asyncio.run(awaiting())
        else:
            with make_client_for("notion", sleep=clock.sleep, **options) as client:
                for _ in range(times):
                    client.get("/users")
        return store

    return run


def test_each_change_is_told_once_with_its_figures(send: Send) -> None:
    heard: list[LimiterEvent] = []
    send([(429, {"Retry-After": "5"}), (503, {"Retry-After": "9"})], heard.append, tenant="acme", quota_key="shared")
    bucket = Bucket("notion", "default", "shared")
    assert heard == [
        LimiterEvent(
            bucket,
            "acme",
            "backoff",
            START,
            2.0,
            1.34,
            ceiling=2.0,
            retry_after=5.0,
            status=429,
            cooldown_until=START + 5,
        ),
        LimiterEvent(
            bucket,
            "acme",
            "cooldown",
            START + 5,
            1.34,
            1.34,
            ceiling=2.0,
            retry_after=9.0,
            status=503,
            cooldown_until=START + 14,
        ),
        LimiterEvent(bucket, "acme", "recovered", START + 14, 1.34, 1.34, ceiling=2.0),
    ]
    assert [event.hold for event in heard] == [5.0, 9.0, 0.0]


def test_every_increase_is_told_also_those_that_the_history_keeps_together(send: Send) -> None:
    heard: list[LimiterEvent] = []
    send([], heard.append, times=4)
    assert [(event.kind, round(event.rate_after, 3)) for event in heard] == [
        ("increase", 2.1),
        ("increase", 2.2),
        ("increase", 2.3),
    ]


def test_the_vendors_word_is_told(send: Send) -> None:
    heard: list[LimiterEvent] = []
    body = {"additional_data": {"rate_limit_reason": "integration_rate_limited"}}
    send([httpx.Response(429, headers={"Retry-After": "1"}, json=body)], heard.append)
    assert [event.reason for event in heard] == ["integration_rate_limited", ""]


def test_a_terminal_refusal_is_told_and_kept_before_it_is_raised(send: Send, clock: FakeClock) -> None:
    heard: list[LimiterEvent] = []
    store = MemoryStore(clock=clock)
    with pytest.raises(Terminal):
        send([blocked()], heard.append, store=store)
    [event] = heard
    assert (event.kind, event.status, event.reason) == ("terminal", 429, "public_api_request_blocked")
    assert (event.rate_before, event.rate_after, event.cooldown_until) == (2.0, 2.0, 0.0), "it teaches nothing"
    kept = [(each.kind, each.status, each.rate_after) for each in store.history(event.bucket)]
    assert kept == [("start", None, 2.0), ("terminal", 429, 2.0)]


def test_a_hook_hears_of_what_is_kept_already_and_may_use_the_store(send: Send, clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)
    kept: list[tuple[str, float]] = []

    def look(happened: LimiterEvent) -> None:
        # A transaction within the one of the request would wait for ever.
        rate = store.transact(happened.bucket, lambda state, _: Decision(state, state.rate))  # type: ignore[union-attr,arg-type]
        kept.append((store.history(happened.bucket)[-1].kind, rate))

    send([(429, {"Retry-After": "5"})], look, store=store)
    assert kept == [("backoff", 1.34), ("recovered", 1.34)]


def test_one_that_fails_is_logged_once_and_the_others_hear_of_everything(
    send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken(happened: LimiterEvent) -> None:
        raise OSError("no room for it")

    script = [(429, {"Retry-After": "5"}), 200, (429, {"Retry-After": "5"})]
    send(script, broken, lambda happened: heard.append(happened.kind), times=3)
    assert heard.count("backoff") + heard.count("cooldown") == 2
    assert heard[-2:] == ["recovered", "increase"]
    [said] = [record for record in caplog.records if "hook" in record.getMessage()]
    assert (said.name, said.levelname) == ("limiter", "WARNING")
    assert "broken failed (OSError)" in said.getMessage()
    assert said.exc_info is not None


def test_whoever_wants_to_stop_is_not_held_up_by_it(send: Send) -> None:
    def stop(happened: LimiterEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send([(429, {"Retry-After": "5"})], stop)


def test_a_terminal_refusal_is_an_error_in_the_log(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "limiter")
    with pytest.raises(Terminal):
        send([blocked()], tenant="acme")
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == "notion/default/acme: terminal (public_api_request_blocked), status 429"
    assert (record.event, record.tenant, record.reason) == ("terminal", "acme", "public_api_request_blocked")  # type: ignore[attr-defined]

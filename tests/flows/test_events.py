"""Which Prefect events there are, what is in them, and that emitting them costs a request nothing."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import events
from flows.events import emit_incomplete, emit_limiter_event
from flows.outcome import Chunk, Problem, SyncReport
from limiter import LimiterEvent, Terminal, make_async_client_for, make_client_for
from limiter.testing import START, ScriptedVendor
from state import Bucket
from state.records import Counts

TOKEN = "secret_simulator"


@pytest.fixture
def emitted() -> Callable[[], list]:
    """A configured server; gives the events that have come to Prefect's queue, and empties it."""
    EventsWorker.set_client_override(AssertingEventsClient)
    AssertingEventsClient.reset()

    def drained():
        EventsWorker.drain_all()
        return [event for client in AssertingEventsClient.all for event in client.pop_events()]

    with temporary_settings({PREFECT_API_URL: "http://prefect.test/api"}):
        yield drained
        EventsWorker.drain_all()
    EventsWorker.set_client_override(None)


@pytest.fixture(params=["sync", "async"])
def send(request, clock, store):
    def run(script, times=1):
        vendor = ScriptedVendor(script, clock)
        options = {"store": store, "transport": vendor.transport, "hooks": [emit_limiter_event], "tenant": "acme"}
        options["headers"] = {"Authorization": f"Bearer {TOKEN}"}

        async def awaiting():
            async with make_async_client_for("notion", sleep=clock.asleep, **options) as client:
                return [await client.get("/users") for _ in range(times)]

        if request.param == "async":
            return asyncio.run(awaiting())
        with make_client_for("notion", sleep=clock.sleep, **options) as client:
            return [client.get("/users") for _ in range(times)]

    return run


class TestTheLimiter:
    def test_tells_of_backoffs_cooldowns_and_recoveries(self, send, emitted):
        send([(429, {"Retry-After": "5"}), (503, {"Retry-After": "9"})])
        came = emitted()
        assert [event.event for event in came] == [
            "aimd.limiter.backoff",
            "aimd.limiter.cooldown",
            "aimd.limiter.recovered",
        ]
        assert {event.resource.id for event in came} == {"aimd.limiter.notion.default.acme"}
        assert came[0].resource["prefect.resource.name"] == "notion/default/acme"
        assert came[0].resource["aimd.api"] == "notion"
        assert came[0].payload == {
            "tenant": "acme",
            "at": START,
            "rate_before": 2.0,
            "rate_after": 1.34,
            "ceiling": 2.0,
            "retry_after": 5.0,
            "status": 429,
            "cooldown_until": START + 5.0,
            "hold": 5.0,
            "reason": "",
        }

    def test_tells_of_a_refusal_for_good_in_the_vendors_words(self, send, emitted):
        with pytest.raises(Terminal):
            send([httpx.Response(429, text="public_api_request_blocked")])
        [event] = emitted()
        assert event.event == "aimd.limiter.terminal"
        assert event.payload["reason"] == "public_api_request_blocked"

    def test_tells_of_a_vendor_that_is_down_and_back(self, send, emitted, clock):
        send([503, 503, 503])  # one request, tried three times
        send([503, 503, 503])
        clock.now += 60.0
        send([])
        opened, closed = emitted()
        assert (opened.event, closed.event) == ("aimd.limiter.opened", "aimd.limiter.closed")
        assert (opened.payload["status"], opened.payload["hold"], closed.payload["hold"]) == (503, 30.0, 0.0)

    def test_does_not_tell_of_increases(self, send, emitted):
        send([], times=20)
        assert emitted() == []

    def test_tells_no_secret_and_nothing_that_is_not_json(self, send, emitted):
        send([429, 429])
        came = emitted()
        assert came
        for event in came:
            assert TOKEN not in event.model_dump_json()
            json.dumps(event.payload, allow_nan=False)


def incomplete() -> SyncReport:
    problem = Problem("Notion does not accept the token (401).")
    counts = Counts(records=7, new=7)
    return SyncReport("notion", "acme", {"users": Chunk(counts, complete=True), "pages": Chunk(problem=problem)})


class TestASync:
    def test_that_is_not_complete_is_an_event(self, emitted):
        emit_incomplete(incomplete())
        [event] = emitted()
        assert (event.event, event.resource.id) == ("aimd.sync.incomplete", "aimd.sync.notion.acme")
        assert event.payload == {
            "source": "notion",
            "tenant": "acme",
            "state": "incomplete",
            "streams": ["pages"],
            "problems": ["Notion does not accept the token (401)."],
            "retry_at": 0.0,
            "records": 7,
            "requests": 0,
            "throttled": 0,
        }

    def test_that_could_not_begin_is_one_too(self, emitted):
        emit_incomplete(SyncReport("notion", "acme", failure=Problem("There is no credential.")))
        [event] = emitted()
        assert event.payload["state"] == "failed"

    def test_that_is_complete_is_none(self, emitted):
        emit_incomplete(SyncReport("notion", "acme", {"users": Chunk(complete=True)}))
        assert emitted() == []


BACKOFF = LimiterEvent(Bucket("notion"), "default", "backoff", START, 2.0, 1.34)


class TestWithoutAServer:
    def test_outside_of_a_run_none_is_started(self, monkeypatch):
        def start():
            raise AssertionError("it would start a server, which takes ten seconds")

        monkeypatch.setattr("prefect.server.api.server.SubprocessASGIServer", start)
        monkeypatch.setattr(events, "emit_event", lambda *_, **__: start())
        emit_limiter_event(BACKOFF)
        emit_incomplete(incomplete())

    def test_that_answers_events_queue_up_and_requests_go_on(self, send, monkeypatch):
        # Prefect tries for eight seconds to reach it, in a thread of its own; this test does not wait for that.
        monkeypatch.setattr("prefect.events.clients.PrefectEventsClient.__aenter__", unreachable)
        monkeypatch.setattr("prefect._internal.concurrency.services.logger.disabled", True)
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
            [answer] = send([(429, {"Retry-After": "5"})])
            EventsWorker.drain_all()
        assert answer.status_code == 200


async def unreachable(self):
    raise ConnectionRefusedError("nobody there")

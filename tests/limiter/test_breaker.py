"""What an outage of the vendor costs its callers, through both transports: a few sends, then a typed error at once."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from limiter import (
    ApiRateConfig,
    CircuitBreakerConfig,
    CircuitOpen,
    ConfigurationError,
    Limiter,
    Scope,
    aimd,
    api_config,
)
from limiter.aimd import Ticket
from limiter.config_file import read_config_file
from limiter.errors import TryLater, VendorError
from limiter.presets import API_RATE_CONFIGS
from state import Bucket
from state.memory import MemoryStore
from state.records import Decision

BREAKER = CircuitBreakerConfig(failure_threshold=3, open_interval=30.0)
ACME = ApiRateConfig("acme", "https://api.acme.test", initial_rate=10.0, max_rate=10.0, breaker=BREAKER)
MAIN = Bucket("acme")
FAULTS: list[Any] = [
    500,
    502,
    503,
    504,
    (503, {"Retry-After": "0"}),
    httpx.ConnectError("refused"),
    httpx.ReadError("reset"),
    httpx.ConnectTimeout("too slow"),
    httpx.ReadTimeout("too slow"),
    httpx.RemoteProtocolError("server disconnected"),
]
NO_FAULTS: list[Any] = [
    200,
    304,
    401,
    403,
    404,
    422,
    501,
    (429, {"Retry-After": "1"}),
    (503, {"Retry-After": "1"}),
]


def outcomes(played: Any) -> list[Any]:
    return [each.status_code if isinstance(each, httpx.Response) else type(each) for each in played.outcomes]


@pytest.mark.parametrize(
    ("fault", "opens"),
    [(httpx.ReadTimeout("too slow"), False), (httpx.ConnectTimeout("too slow"), False), (httpx.ReadError("x"), True)],
    ids=repr,
)
def test_a_time_out_of_the_callers_own_deadline_is_no_fault_of_the_vendor(
    play: Any, clock: Any, fault: Exception, opens: bool
) -> None:
    store = MemoryStore(clock=clock)
    for _ in range(3):
        played = play([fault], store=store, config=ACME, bounds={"deadline": 0.0})
        assert played.error is fault
        clock.now += 1.0
    assert bool(played.limiter.snapshot()["circuit_open_until"]) is opens


def kinds(store: MemoryStore, bucket: Bucket = MAIN) -> list[str]:
    return [event.kind for event in store.history(bucket) if event.kind in ("opened", "closed")]


@pytest.fixture
def store(clock: Any) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_opens_after_so_many_faults_in_a_row_and_sends_nothing(
    play: Any, store: MemoryStore, method: str, fault: Any
) -> None:
    # GET is tried three times by itself, POST once.
    play([fault] * 3, method, config=ACME, store=store, times=1 if method == "GET" else 3)
    later = play([], method, config=ACME, store=store, times=4)
    assert later.sends == []
    assert outcomes(later) == [CircuitOpen] * 4
    assert kinds(store) == ["opened"]


@pytest.mark.parametrize("answer", NO_FAULTS, ids=repr)
def test_any_answer_ends_the_row(play: Any, store: MemoryStore, answer: Any) -> None:
    script = [500, 500, answer, 500, 500, answer, 500, 500]
    played = play(script, "POST", config=ACME, store=store, times=8, bounds={"max_retries": 0})
    assert len(played.sends) == 8
    assert kinds(store) == []


@pytest.mark.parametrize(
    "error",
    [httpx.PoolTimeout("busy"), httpx.UnsupportedProtocol("x"), httpx.LocalProtocolError("x"), httpx.ProxyError("x")],
    ids=repr,
)
def test_what_the_vendor_has_no_part_in_counts_neither_way(play: Any, store: MemoryStore, error: Exception) -> None:
    assert len(play([error] * 5, "POST", config=ACME, store=store, times=5).sends) == 5
    play([500, 500, error, 500], "POST", config=ACME, store=store, times=4)
    assert kinds(store) == ["opened"]


def test_the_fault_that_opens_it_is_the_callers_at_once(play: Any, store: MemoryStore, clock: Any) -> None:
    one = replace(ACME, breaker=CircuitBreakerConfig(failure_threshold=1))
    played = play([503], config=one, store=store)
    assert (played.response.status_code, played.response.text) == (503, "answer 1")
    assert (played.sends, clock.sleeps) == ([0.0], []), "a second try would be refused"
    clock.now += 30.0
    error = httpx.ReadTimeout("too slow")
    assert play([error], config=one, store=store).outcomes == [error]


def test_the_error_says_who_how_often_and_until_when(play: Any, store: MemoryStore, clock: Any) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    began = clock.now
    error = play([], config=ACME, store=store, url="/things", headers={"Authorization": "Bearer hunter2"}).error
    assert isinstance(error, CircuitOpen)
    for kind in (TryLater, VendorError, httpx.HTTPError):
        assert isinstance(error, kind)
    assert error.until == began + 30.0
    assert str(error) == "acme failed 3 times in a row, so nothing is sent to it now. Try again from 08:00:31 UTC on."
    assert (error.api, error.bucket, error.response) == ("acme", "acme/default/default", None)
    assert str(error.request.url) == "https://api.acme.test/things"
    pickled = pickle.dumps(error)
    assert b"hunter2" not in pickled
    assert pickle.loads(pickled).until == error.until


def test_an_open_circuit_takes_no_slot_and_writes_nothing(play: Any, store: MemoryStore) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    before = store.read(MAIN)[0]
    play([], config=ACME, store=store, times=3, bounds={"max_wait": 0.0})
    assert store.read(MAIN)[0] is before


def test_one_asks_after_the_interval_and_its_answer_closes_it(play: Any, store: MemoryStore, clock: Any) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    clock.now += 29.0
    assert outcomes(play([], config=ACME, store=store)) == [CircuitOpen]
    clock.now += 1.0
    assert outcomes(play([200], config=ACME, store=store, times=3)) == [200, 200, 200]
    assert kinds(store) == ["opened", "closed"]
    assert outcomes(play([500, 500, 200], "POST", config=ACME, store=store, times=3)) == [500, 500, 200]
    assert kinds(store) == ["opened", "closed"], "and counting begins anew"


def test_the_fault_of_the_one_that_asks_opens_it_again(play: Any, store: MemoryStore, clock: Any) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    for _ in range(3):
        clock.now += 30.0
        played = play([502], config=ACME, store=store, times=3)
        assert outcomes(played) == [502, CircuitOpen, CircuitOpen]
        assert len(played.sends) == 1, "a safe request, too, is not tried again"
    assert kinds(store) == ["opened"] * 4


@pytest.mark.parametrize("answer", [404, 401, (429, {"Retry-After": "1"}), (503, {"Retry-After": "1"})], ids=repr)
def test_a_refusal_closes_it_too(play: Any, store: MemoryStore, clock: Any, answer: Any) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    clock.now += 30.0
    play([answer], "POST", config=ACME, store=store)
    assert kinds(store) == ["opened", "closed"]


def test_one_that_asks_and_never_comes_back_is_followed_by_another(play: Any, store: MemoryStore, clock: Any) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    clock.now += 30.0
    killed = play([KeyError("the process was killed")], config=ACME, store=store)
    assert outcomes(killed) == [KeyError]
    assert outcomes(play([], config=ACME, store=store)) == [CircuitOpen]
    clock.now += 30.0
    assert outcomes(play([], config=ACME, store=store)) == [200]
    assert kinds(store) == ["opened", "closed"]


def test_nobody_asks_within_a_cooldown(play: Any, store: MemoryStore, clock: Any) -> None:
    play([500] * 3, "POST", config=ACME, store=store, times=3)
    until = clock.now + 100.0
    store.transact(MAIN, lambda state, now: Decision(aimd.held(state, ACME, now, 100.0), None))  # type: ignore[arg-type]
    clock.now += 40.0
    assert play([], config=ACME, store=store).error.until == until
    clock.now = until
    assert outcomes(play([], config=ACME, store=store)) == [200]


def test_slots_that_were_reserved_before_it_opened_are_void(store: MemoryStore, clock: Any) -> None:
    limiter = Limiter(ACME, MAIN, store)
    slots = [store.transact(limiter.bucket, limiter.reserving(waited=False, patience=9.0)) for _ in range(4)]
    for slot in slots[:3]:
        clock.now += 0.1
        store.transact(limiter.bucket, limiter.failing(replace(slot.ticket, at=clock.now), 500))
    found, now = store.read(limiter.bucket)
    assert limiter.still_valid(found, now, slots[3].ticket) is None


def test_a_success_while_nothing_is_wrong_writes_no_more_than_without_a_breaker(play: Any, clock: Any) -> None:
    class Writes(MemoryStore):
        count = calls = 0

        def transact(self, bucket: Any, decide: Any) -> Any:
            before = self._states.get(bucket)
            result = super().transact(bucket, decide)
            self.count += self._states.get(bucket) is not before
            self.calls += 1
            return result

    stores = [Writes(clock=clock), Writes(clock=clock)]
    for store, breaker in zip(stores, (BREAKER, None), strict=True):
        play([200, 404, 200, 401], config=replace(ACME, breaker=breaker), store=store, times=5)
    assert stores[0].count == stores[1].count > 0
    assert stores[0].calls == stores[1].calls, "nor takes another transaction"


def test_without_a_breaker_every_request_is_sent(play: Any, store: MemoryStore) -> None:
    config = replace(ACME, breaker=None)
    assert len(play([500] * 20, "POST", config=config, store=store, times=20).sends) == 20
    assert len(play([httpx.ReadError("x")] * 20, "POST", config=config, store=store, times=20).sends) == 20


def test_each_limit_of_an_api_has_a_circuit_of_its_own(play: Any, store: MemoryStore) -> None:
    search = Scope("search", path="/search", beside=True)
    config = replace(ACME, scopes=(search,))
    play([500] * 3, "POST", "/search", config=config, store=store, times=3)
    assert outcomes(play([], "POST", "/search", config=config, store=store)) == [CircuitOpen]
    assert outcomes(play([], "POST", "/things", config=config, store=store)) == [200]
    assert kinds(store, Bucket("acme", "search")) == ["opened"]
    assert kinds(store) == []


def test_an_answer_on_one_path_closes_the_circuit_of_all(play: Any, store: MemoryStore) -> None:
    config = replace(ACME, scopes=(Scope("search", path="/search", beside=True),))
    play([500] * 3, "POST", "/things", config=config, store=store, times=3)
    assert outcomes(play([], "POST", "/search", config=config, store=store)) == [200], "it has a circuit of its own"
    assert kinds(store) == ["opened", "closed"]
    assert outcomes(play([], "POST", "/things", config=config, store=store)) == [200]


def test_the_snapshot_says_that_it_is_open(play: Any, store: MemoryStore, clock: Any) -> None:
    played = play([500] * 3, "POST", config=ACME, store=store, times=3)
    assert played.limiter.snapshot()["circuit_open_until"] == clock.now + 30.0
    clock.now += 30.0
    assert played.limiter.snapshot()["circuit_open_until"] == 0.0


def test_its_events_are_told_to_hooks_and_kept_with_their_figures(
    play: Any, store: MemoryStore, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "limiter")
    play([500, 500, httpx.ConnectError("refused")], "POST", config=ACME, store=store, times=3)
    at = clock.now
    clock.now += 30.0
    play([200], config=ACME, store=store)
    assert [record.getMessage() for record in caplog.records] == [
        "acme/default/default: the circuit opened (ConnectError), nothing is sent for 30.0 s",
        "acme/default/default: the circuit closed",
    ]
    opened, closed = (event for event in store.history(MAIN) if event.kind in ("opened", "closed"))
    assert (opened.at, opened.cooldown_until, opened.rate_before, opened.rate_after) == (at, at + 30.0, 10.0, 10.0)
    assert (closed.cooldown_until, closed.status) == (0.0, None)


def test_a_request_that_waits_to_try_again_finds_out(play: Any, store: MemoryStore, clock: Any) -> None:
    limiter = Limiter(ACME, MAIN, store)

    def fail_meanwhile(seconds: float) -> None:
        clock.now += seconds
        for _ in range(2):
            store.transact(MAIN, limiter.failing(Ticket(clock.now, 0, paced=False), 500))

    clock.sleep = fail_meanwhile
    played = play([500], config=ACME, store=store)
    assert outcomes(played) == [CircuitOpen]
    assert len(played.sends) == 1


@pytest.mark.parametrize("api", sorted(API_RATE_CONFIGS))
def test_every_preset_has_one(api: str) -> None:
    assert api_config(api).breaker == CircuitBreakerConfig(5, 30.0)


@pytest.mark.parametrize(
    ("said", "breaker"),
    [
        ("breaker = false", None),
        ("breaker = {failure_threshold = 2}", CircuitBreakerConfig(2, 30.0)),
        ("breaker = {open_interval = 5}", CircuitBreakerConfig(5, 5)),
    ],
)
def test_a_file_sets_it_or_switches_it_off(tmp_path: Path, said: str, breaker: Any) -> None:
    path = tmp_path / "aimd.toml"
    path.write_text(f"[notion]\n{said}\n")
    assert read_config_file(str(path), API_RATE_CONFIGS)["notion"].breaker == breaker


@pytest.mark.parametrize(
    "breaker",
    [
        True,
        5,
        "off",
        [],
        {"threshold": 5},
        {"failure_threshold": 0},
        {"failure_threshold": 2.5},
        {"failure_threshold": True},
        {"open_interval": 0},
        {"open_interval": -1.0},
        {"open_interval": float("nan")},
        {"open_interval": float("inf")},
        {"open_interval": "30"},
        {"open_interval": True},
    ],
    ids=repr,
)
def test_one_that_cannot_work_is_refused(breaker: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"API 'acme': breaker.*Nothing was sent"):
        ApiRateConfig("acme", "https://api.acme.test", breaker=breaker)

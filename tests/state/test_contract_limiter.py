"""What every store does with limiters and their history."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from state_worker import added

from state import Bucket, Decision, HistoryEvent, LimiterState, context, open_store
from state.codec import KINDS
from state.retention import DAYS
from state.store import Store

NOTION = Bucket("notion")
KNOWN = LimiterState(
    rate=3.5,
    ceiling=4.25,
    next_slot=1_700_000_001.125,
    cooldown_until=1_700_000_030.5,
    generation=3,
    throttles=7,
    updated_at=1_700_000_000.25,
    delivered=12,
    since=1_699_999_990.0,
    hold_until=1_700_000_060.0,
    trusted=3.2,
    cut_at=1_699_999_991.5,
    outage_since=1_699_999_991.75,
    rounds=2,
    recorded_rate=3.25,
    faults=5,
    fault_at=1_699_999_999.5,
    open_until=1_700_000_029.5,
)


def told(rate: float, kind: str = "increase") -> HistoryEvent:
    return HistoryEvent(at=rate, kind=kind, rate_before=rate - 1, rate_after=rate)


def keep(state: LimiterState, *history: HistoryEvent):
    return lambda before, now: Decision(state, None, history)


def test_the_first_transaction_meets_no_state_and_the_time_of_the_clock(store: Store, clock) -> None:
    seen = []
    store.transact(NOTION, lambda before, now: seen.append((before, now)) or Decision(KNOWN, None))
    assert seen == [(None, clock.now)]


def test_the_next_transaction_meets_what_the_last_one_left_and_the_later_time(store: Store, clock) -> None:
    seen = []
    store.transact(NOTION, keep(KNOWN))
    clock.now += 12.5
    store.transact(NOTION, lambda before, now: seen.append((before, now)) or Decision(before, None))
    assert seen == [(KNOWN, clock.now)]


def test_the_result_is_handed_through_as_it_is(store: Store) -> None:
    result = object()
    assert store.transact(NOTION, lambda before, now: Decision(KNOWN, result)) is result
    assert store.transact(NOTION, lambda before, now: Decision(before, result)) is result


def test_to_return_the_state_as_given_writes_neither_row_nor_history(store: Store) -> None:
    store.transact(NOTION, keep(KNOWN))
    store.transact(NOTION, lambda before, now: Decision(before, None, (told(9.0),)))
    assert store.read(NOTION)[0] == KNOWN
    assert store.history(NOTION) == []


def test_to_refuse_the_first_decision_makes_no_limiter(store: Store) -> None:
    def refuse(before: LimiterState | None, now: float) -> Decision[None]:
        raise LookupError

    with pytest.raises(LookupError):
        store.transact(NOTION, refuse)
    assert store.read(NOTION)[0] is None
    assert list(store.buckets()) == []


def test_an_exception_leaves_everything_as_it_was_and_the_store_in_working_order(store: Store) -> None:
    store.transact(NOTION, keep(KNOWN, told(2.0)))

    def fail(before: LimiterState | None, now: float) -> Decision[None]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.transact(NOTION, fail)
    assert store.read(NOTION)[0] == KNOWN
    store.transact(NOTION, keep(replace(KNOWN, rate=5.0), told(5.0)))
    assert store.read(NOTION)[0] == replace(KNOWN, rate=5.0)
    assert [event.rate_after for event in store.history(NOTION)] == [2.0, 5.0]


def test_read_gives_the_row_and_the_time_and_takes_no_lock(store: Store, clock) -> None:
    assert store.read(NOTION) == (None, clock.now)
    store.transact(NOTION, keep(KNOWN))
    clock.now += 1.0

    def look(before: LimiterState | None, now: float) -> Decision[object]:
        with ThreadPoolExecutor(1) as another:  # a lock would never let it in
            return Decision(before, another.submit(store.read, NOTION).result(timeout=10))

    assert store.transact(NOTION, look) == (KNOWN, clock.now)


def test_buckets_are_told_apart_by_each_of_their_parts_and_come_in_order(store: Store) -> None:
    buckets = [
        Bucket("github", "search", "acme"),
        Bucket("notion", "default", "acme"),
        Bucket("notion", "default", "zenith"),
        Bucket("notion", "search", "acme"),
    ]
    states = [replace(KNOWN, rate=float(n)) for n in range(1, 5)]
    for bucket, state in reversed(list(zip(buckets, states, strict=True))):
        store.transact(bucket, keep(state, told(state.rate)))
    assert list(store.buckets()) == list(zip(buckets, states, strict=True))
    assert [store.history(bucket)[0].rate_after for bucket in buckets] == [1.0, 2.0, 3.0, 4.0]


def test_the_history_keeps_an_event_as_it_was_told(store: Store) -> None:
    whole = HistoryEvent(1.5, "backoff", 3.0, 2.76, 3.0, 12.5, 429, 14.0, "run-7")
    bare = HistoryEvent(2.5, "recovered", 2.76, 2.76)
    store.transact(NOTION, keep(KNOWN, whole, bare))
    assert store.history(NOTION) == [whole, bare]


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_knows_every_kind_of_event(store: Store, kind: str) -> None:
    store.transact(NOTION, keep(KNOWN, told(1.0, kind)))
    assert [event.kind for event in store.history(NOTION)] == [kind]


def test_the_history_is_in_order_and_a_limit_takes_the_newest(store: Store) -> None:
    for first in (1, 3, 5):  # two a transaction
        store.transact(NOTION, keep(replace(KNOWN, rate=first), told(first), told(first + 1)))
    assert [event.rate_after for event in store.history(NOTION)] == [1, 2, 3, 4, 5, 6]
    assert [event.rate_after for event in store.history(NOTION, limit=3)] == [4, 5, 6]
    assert [event.rate_after for event in store.history(NOTION, limit=100)] == [1, 2, 3, 4, 5, 6]
    assert store.history(NOTION, limit=0) == []
    assert store.history_length(NOTION) == 6
    assert store.history_length(Bucket("github")) == 0
    assert store.history(Bucket("github")) == []


def test_an_event_belongs_to_the_run_of_the_context_unless_it_names_one(store: Store) -> None:
    token = context.run_id.set("run-of-the-context")
    try:
        store.transact(NOTION, keep(KNOWN, told(1.0), replace(told(2.0), run_id="its-own")))
    finally:
        context.run_id.reset(token)
    store.transact(NOTION, keep(replace(KNOWN, rate=9.0), told(3.0)))
    assert [event.run_id for event in store.history(NOTION)] == ["run-of-the-context", "its-own", None]


def test_reset_forgets_one_limiter_with_its_history(store: Store) -> None:
    github = Bucket("github")
    for bucket in (NOTION, github):
        store.transact(bucket, keep(KNOWN, told(1.0)))
    assert store.reset(NOTION) is True
    assert store.reset(NOTION) is False
    assert store.read(NOTION)[0] is None
    assert store.history_length(NOTION) == 0
    assert list(store.buckets()) == [(github, KNOWN)]
    assert store.history_length(github) == 1


def test_a_limiter_that_was_reset_begins_anew_with_an_empty_history(store: Store) -> None:
    store.transact(NOTION, keep(KNOWN, told(1.0), told(2.0)))
    store.reset(NOTION)
    store.transact(NOTION, keep(KNOWN, told(3.0)))
    assert [event.rate_after for event in store.history(NOTION)] == [3.0]


def test_many_threads_on_one_bucket_lose_nothing(store: Store) -> None:
    threads, times = 8, 40
    gate = threading.Barrier(threads)

    def work(_: int) -> list[int]:
        gate.wait(timeout=30)
        return [store.transact(NOTION, added) for _ in range(times)]

    with ThreadPoolExecutor(threads) as pool:
        reached = [number for numbers in pool.map(work, range(threads)) for number in numbers]
    assert sorted(reached) == list(range(1, threads * times + 1))
    assert store.read(NOTION)[0].delivered == threads * times
    assert [event.rate_after for event in store.history(NOTION)] == list(range(1, threads * times + 1))[-500:]


def test_threads_may_read_while_others_write(store: Store) -> None:
    gate = threading.Barrier(4)

    def write(api: str) -> int:
        gate.wait(timeout=30)
        return [store.transact(Bucket(api), added) for _ in range(60)][-1]

    def look(api: str) -> list[int]:
        gate.wait(timeout=30)
        return [state.delivered for _ in range(60) for state in [store.read(Bucket(api))[0]] if state]

    with ThreadPoolExecutor(4) as pool:
        written = [pool.submit(write, api) for api in ("notion", "github")]
        seen = [pool.submit(look, api) for api in ("notion", "github")]
        assert [each.result() for each in written] == [60, 60]
        assert all(each.result() == sorted(each.result()) for each in seen)


def test_to_close_a_store_that_others_use_fails_none_of_them(store: Store) -> None:
    gate = threading.Barrier(3)

    def work(_: int) -> int:
        gate.wait(timeout=30)
        return [(store.transact(NOTION, added), store.read(NOTION), store.history(NOTION, 1)) for _ in range(60)][-1][0]

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(work, n) for n in range(2)]
        gate.wait(timeout=30)
        for _ in range(20):
            store.close()
        assert max(each.result() for each in working) == 120
    assert store.history_length(NOTION) == 120


def test_a_closed_store_opens_itself_again(store: Store) -> None:
    store.transact(NOTION, keep(KNOWN, told(1.0)))
    store.close()
    store.close()
    assert store.read(NOTION)[0] == KNOWN
    assert store.history_length(NOTION) == 1


def test_a_store_tells_where_it_is(store_url: str) -> None:
    with open_store(store_url) as store:
        assert store.in_process is (store_url == "memory://")
        assert store.url == store_url.replace("postgres:@", "postgres:***@")
        assert repr(store) == ("MemoryStore()" if store.in_process else f"SqlStore({store.url!r})")


def test_pruning_takes_the_oldest_of_each_bucket_and_never_the_newest(store: Store, clock) -> None:
    github = Bucket("github")
    for day in range(1, 6):
        event = replace(told(day), at=clock.now - (5 - day) * 86400)
        for bucket in (NOTION, github):
            store.transact(bucket, keep(replace(KNOWN, rate=float(day)), event))
    assert store.prune(days=2.5) == 2 * 2
    assert [event.rate_after for event in store.history(NOTION)] == [3, 4, 5]
    assert store.prune(rows=2) == 2 * 1
    assert [event.rate_after for event in store.history(github)] == [4, 5]
    clock.now += 1000 * 86400
    assert store.prune(days=1, rows=0) == 2 * 1
    assert [event.rate_after for event in store.history(NOTION)] == [5]
    store.transact(NOTION, keep(KNOWN, told(6)))  # numbered after what is gone
    assert [event.rate_after for event in store.history(NOTION)] == [5, 6]


def test_pruning_without_bounds_takes_what_is_older_than_is_kept(store: Store, clock) -> None:
    for days in (DAYS + 1, DAYS - 1, 0):
        store.transact(NOTION, keep(replace(KNOWN, rate=days + 1), replace(told(days), at=clock.now - days * 86400)))
    assert store.prune() == 1
    assert [event.rate_after for event in store.history(NOTION)] == [DAYS - 1, 0]

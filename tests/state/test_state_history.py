"""A history that stays small: what goes by itself, what a row takes, and how the newest are found."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from state_worker import added

from state import Bucket, Decision, HistoryEvent, LimiterState, open_store, retention, statements
from state.retention import Retention
from state.sql import SqlStore
from state.store import Store

RUN = uuid.UUID(int=0xFEDCBA98765432100123456789ABCDEF)
NOTION, GITHUB = Bucket("notion"), Bucket("github")
BIG = HistoryEvent(1_700_000_000.123, "backoff", 4.123, 3.789, 4.001, 12.5, 429, 1_700_000_012.6, str(RUN))


def tell(store: Store, bucket: Bucket, *events: HistoryEvent) -> None:
    store.transact(
        bucket, lambda before, now: Decision(replace(before or LimiterState(1.0), updated_at=now), 0, events)
    )


def numbers(store: Store, bucket: Bucket) -> list[int]:
    return [int(each.rate_after) for each in store.history(bucket, 10_000)]


def test_a_long_history_loses_its_oldest_by_itself(url: str, clock) -> None:
    with SqlStore(url, clock=clock, retention=Retention(rows=100)) as store:
        tell(store, GITHUB, BIG)
        for _ in range(400):
            store.transact(NOTION, added)
        kept = numbers(store, NOTION)
        assert kept == list(range(kept[0], 401))
        assert 100 <= len(kept) < 100 + retention.EVERY
        assert store.history(GITHUB) == [BIG]


def test_an_old_history_goes_by_itself_as_new_events_come(url: str, clock) -> None:
    with SqlStore(url, clock=clock, retention=Retention(days=30)) as store:
        for _ in range(80):
            store.transact(NOTION, added)
        clock.now += 31 * 86400
        for _ in range(retention.EVERY):
            store.transact(NOTION, added)
        kept = numbers(store, NOTION)
        assert (kept[0] > 80, kept[-1]) == (True, 80 + retention.EVERY)


def test_what_goes_by_itself_goes_little_by_little(url: str, clock) -> None:
    """Whoever waits for the row must not wait for a year of history to go."""
    events = [replace(BIG, rate_after=float(n)) for n in range(1, 3 * retention.AT_ONCE + 1)]
    with SqlStore(url, clock=clock, retention=Retention(rows=10**9)) as store:
        tell(store, NOTION, *events)
    deleted: list[int] = []
    with SqlStore(url, clock=clock, retention=Retention(rows=1)) as store:

        @event.listens_for(store._engine, "after_cursor_execute")
        def after(connection, cursor, statement: str, *_: object) -> None:
            if statement.startswith("DELETE FROM limiter_history"):
                deleted.append(cursor.rowcount)

        for _ in range(retention.EVERY):
            store.transact(NOTION, added)
        assert deleted == [retention.AT_ONCE]
        assert store.prune(rows=5) == 2 * retention.AT_ONCE + retention.EVERY - 5
        assert max(deleted) == retention.AT_ONCE
        assert store.history_length(NOTION) == 5


def test_a_million_events_fit_in_a_hundred_megabytes(url: str, path: Path) -> None:
    with open_store(url) as store:
        tell(store, NOTION)
        size = path.stat().st_size
        tell(store, NOTION, *[BIG] * 20_000)  # each as large as they come: with a pause, a status and a run
    assert (path.stat().st_size - size) / 20_000 < 110
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE limiter_history SET retry_after = NULL, status = NULL, cooldown_until = 0.0")
        connection.commit()
        connection.execute("VACUUM")
    assert (path.stat().st_size - size) / 20_000 < 90  # as most are: increases


def test_the_newest_events_of_a_bucket_are_found_without_looking_at_others(url: str, path: Path) -> None:
    open_store(url).close()
    statement = statements.HISTORY.compile(dialect=sqlite.dialect(paramstyle="named"))
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", statement.params)]
    assert len(plan) == 2
    assert all(step.startswith("SEARCH") for step in plan)  # no SCAN, and no TEMP B-TREE to sort in


@pytest.mark.parametrize(
    "run",
    [
        None,
        "run-7",
        str(uuid.UUID(int=0)),
        str(RUN),
        str(RUN).upper(),
        RUN.hex,
        "x" * 16,
        "é",
    ],
)
def test_a_run_is_told_as_it_was_given(store: Store, run: str | None) -> None:
    tell(store, NOTION, replace(BIG, run_id=run))
    assert [each.run_id for each in store.history(NOTION)] == [run]


@pytest.mark.parametrize(("kept", "shown"), [("by hand", "by hand"), (b"\xff" * 20, "\ufffd" * 4), (7, "7")])
def test_a_run_that_somebody_has_edited_is_shown_somehow(url: str, path: Path, kept: object, shown: str) -> None:
    with open_store(url) as store:
        tell(store, NOTION, BIG)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE limiter_history SET run_id = ?", (kept,))
            connection.commit()
        assert [each.run_id for each in store.history(NOTION)] == [shown]

"""Limiters in SQL: one row each, locked for the length of one pure function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select

from state import engine as engines
from state import fork, schema, statements, tables
from state.codec import columns_of, columns_of_event, event_of, key_of, state_of
from state.errors import StateError, translated
from state.evidence import EvidenceStore
from state.patience import persistently
from state.records import PUBLIC_FIELDS, Bucket, HistoryEvent, LimiterState
from state.retention import Retention
from state.store import Clock, Decide
from state.tokens_sql import SqlTokens
from state.turns import Turns

T = TypeVar("T")

_row, _events = tables.limiter, tables.limiter_history
_PUBLIC = slice(1, 1 + len(PUBLIC_FIELDS))
_LEARNER = _PUBLIC.stop
_TIME = _LEARNER + 1
_NOTHING = {**dict.fromkeys(PUBLIC_FIELDS, 0), "learner": ""}


class SqlStore:
    """Limiters in a database that SQLAlchemy reaches.

    One kept connection, taken in turns: a row has one writer anyway, and checking a connection out of a pool costs as
    much as the transaction itself.
    """

    in_process = False

    def __init__(self, url: str, *, clock: Clock | None = None, retention: Retention | None = None) -> None:
        address = engines.parse_url(url)
        self.url = engines.shown(address)
        address = engines.anchored(address)
        self._clock = clock
        self._retention = retention or Retention()
        self._turns = Turns(self.url)
        self._kept: Connection | None = None
        self._engine = engines.connect(address, "NORMAL")
        self._hot = statements.compiled(self._engine.dialect)
        durable = engines.connect(address, "FULL")  # its commits survive a power cut
        self.evidence = EvidenceStore(durable, url=self.url, clock=clock, turns=self._turns)
        self.tokens = SqlTokens(durable, url=self.url, clock=clock, turns=self._turns)
        schema.prepare(address)
        fork.tell_in_child(self)

    def __enter__(self) -> SqlStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SqlStore({self.url!r})"

    def in_child(self) -> None:
        """See `state.fork`."""
        self._inherited = (self._kept, engines.renew(self._engine))
        self._kept = None

    def transact(self, bucket: Bucket, decide: Decide[T]) -> T:
        """See `state.store.Store.transact`."""
        return persistently(partial(self._transact, key_of(bucket), decide))

    def _transact(self, key: dict[str, str], decide: Decide[T]) -> T:
        with self._transaction() as connection:
            cursor = connection.connection.cursor()
            found = cursor.execute(self._hot.lock, key).fetchone()
            while found is None:
                # Nobody can hold a row that is not there: make one first, within this transaction.
                connection.execute(self._hot.claim, {**_bucket_columns(key), **_NOTHING})
                found = cursor.execute(self._hot.lock, key).fetchone()
            before = state_of(found[_PUBLIC], found[_LEARNER])
            now = self._time(connection, found)
            decision = decide(before, now)
            if decision.state is before:
                return decision.result
            cursor.execute(self._hot.write, {**columns_of(decision.state), "b_id": found[0]})
            if decision.history:
                self._append(connection, found[0], decision.history, now)
            return decision.result

    def _append(self, connection: Connection, row_id: int, history: tuple[HistoryEvent, ...], now: float) -> None:
        last = connection.execute(statements.LAST_SEQ, {"b_id": row_id}).scalar_one()
        rows = [
            {"limiter_id": row_id, "seq": last + n, **columns_of_event(event)} for n, event in enumerate(history, 1)
        ]
        connection.execute(insert(_events), rows)
        self._retention.after(connection, row_id, last, last + len(rows), now)

    def read(self, bucket: Bucket) -> tuple[LimiterState | None, float]:
        """See `state.store.Store.read`."""
        key = key_of(bucket)

        def work(connection: Connection) -> tuple[LimiterState | None, float]:
            found = connection.connection.cursor().execute(self._hot.look, key).fetchone()
            state = None if found is None else state_of(found[_PUBLIC], found[_LEARNER])
            return state, self._time(connection, found)

        return self._look(work)

    def buckets(self) -> Iterator[tuple[Bucket, LimiterState]]:
        """See `state.store.Store.buckets`."""
        rows = self._look(lambda connection: connection.execute(select(_row)).all())
        known = [
            (Bucket(row.api, row.scope, row.quota_key), state)
            for row in rows
            if (state := state_of([row._mapping[name] for name in PUBLIC_FIELDS], row.learner))
        ]
        return iter(sorted(known, key=lambda item: item[0]))  # here, since every database has an order of its own

    def history(self, bucket: Bucket, limit: int = 500) -> list[HistoryEvent]:
        """See `state.store.Store.history`."""
        wanted = {**key_of(bucket), "b_limit": limit}
        rows = self._look(lambda connection: connection.execute(statements.HISTORY, wanted).all())
        return [event_of(row) for row in reversed(rows)]

    def history_length(self, bucket: Bucket) -> int:
        """See `state.store.Store.history_length`."""
        key = key_of(bucket)
        return int(self._look(lambda connection: connection.execute(statements.LENGTH, key).scalar_one()))

    def reset(self, bucket: Bucket) -> bool:
        """See `state.store.Store.reset`."""
        return persistently(partial(self._reset, key_of(bucket)))

    def _reset(self, key: dict[str, str]) -> bool:
        with self._transaction() as connection:
            found = connection.connection.cursor().execute(self._hot.lock, key).fetchone()
            if found is None:
                return False
            connection.execute(statements.FORGET_HISTORY, {"b_id": found[0]})
            connection.execute(statements.FORGET, {"b_id": found[0]})
            return True

    def prune(self, *, days: float | None = None, rows: int | None = None) -> int:
        """See `state.store.Store.prune`."""
        retention = Retention.of(days=days, rows=rows)
        ids = self._look(lambda connection: connection.execute(select(_row.c.id)).scalars().all())
        pruned = 0
        for row_id in ids:
            upto: int | None = 0
            while upto is not None:  # in small transactions: others wait for their turn in between
                with self._transaction() as connection:
                    now = engines.time_of(connection, self._clock)
                    some, upto = retention.prune(connection, row_id, upto, now)
                    pruned += some
        return pruned

    def close(self) -> None:
        """See `state.store.Store.close`."""
        with self._turns.turn():
            if self._kept is not None:
                self._kept.close()
                self._kept = None
            self._engine.dispose()
        self.evidence.close()  # its connections are those of the tokens, too

    def _time(self, connection: Connection, found: Any) -> float:
        if self._clock is None and found is not None and len(found) > _TIME:
            return float(found[_TIME])
        return engines.time_of(connection, self._clock)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._turns.turn():
            try:
                with translated(self.url):
                    if self._kept is None:
                        self._kept = self._engine.connect()
                    with self._kept.begin():
                        try:
                            yield self._kept
                        except Exception as error:
                            engines.notice(self._kept, error)
                            raise
            except BaseException:  # an interruption, too, which may come where SQLAlchemy does not know of a BEGIN
                self._drop()
                raise

    def _drop(self) -> None:
        """Let go of the connection, which may be broken: SQLAlchemy has not seen what happened on the driver's own."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.invalidate()
            kept.close()

    def _look(self, work: Callable[[Connection], T]) -> T:
        """Read, without a lock and on a connection of its own; again if the server went away meanwhile."""

        def attempt() -> T:
            try:
                with translated(self.url), engines.reading(self._engine) as connection:
                    return work(connection)
            except StateError:
                self._engine.dispose()
                raise

        return persistently(attempt)


def _bucket_columns(key: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("b_"): value for name, value in key.items()}

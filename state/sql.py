"""Limiters in SQL: one row each, locked for the length of one pure function."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from state import engine as engines
from state import fork, schema, tables
from state.context import run_id
from state.errors import translated
from state.evidence import EvidenceStore
from state.records import LEARNER_FIELDS, PUBLIC_FIELDS, Bucket, HistoryEvent, LimiterState
from state.store import Clock, Decide

T = TypeVar("T")

LEARNER_VERSION = 1
"""Of the JSON column. Another version's learner is forgotten, the rate and everything else in columns is not."""

KINDS = ("start", "increase", "backoff", "cooldown", "recovered", "terminal")
"""History kinds by their number in the database: only ever append."""

_KIND_NAMES = dict(enumerate(KINDS))

_row, _events = tables.limiter, tables.limiter_history
_of_bucket = (
    (_row.c.api == bindparam("b_api"))
    & (_row.c.scope == bindparam("b_scope"))
    & (_row.c.quota_key == bindparam("b_quota_key"))
)
_SELECT = select(_row).where(_of_bucket)
_INSERT = insert(_row)
_UPDATE = update(_row).where(_row.c.id == bindparam("b_id"))
_LAST_SEQ = select(func.coalesce(func.max(_events.c.seq), 0)).where(_events.c.limiter_id == bindparam("b_id"))
_APPEND = insert(_events)
_HISTORY = (
    select(_events)
    .join(_row, _row.c.id == _events.c.limiter_id)
    .where(_of_bucket)
    .order_by(_events.c.seq.desc())
    .limit(bindparam("b_limit"))
)
_LENGTH = select(func.count()).select_from(_events.join(_row)).where(_of_bucket)


class SqlStore:
    """Limiters in a database that SQLAlchemy reaches.

    One kept connection behind a lock: SQLite has one writer anyway, and checking a connection out of a pool costs as
    much as the transaction itself.
    """

    in_process = False

    def __init__(self, url: str, *, clock: Clock = time.time) -> None:
        address = engines.parse_url(url)
        self.url = address.render_as_string(hide_password=True)
        self._address = engines.anchored(address)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Connection | None = None
        self._opening = threading.Lock()
        self._evidence: EvidenceStore | None = None
        self._engine = engines.connect(self._address, "NORMAL")
        schema.prepare(self._address)
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
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._inherited = (self._kept, engines.renew(self._engine))
        self._kept = None

    @property
    def evidence(self) -> EvidenceStore:
        """The evidence of the same database, on connections whose commits survive a power cut."""
        with self._opening:
            if self._evidence is None:
                durable = engines.connect(self._address, "FULL")
                self._evidence = EvidenceStore(durable, url=self.url, clock=self._clock)
            return self._evidence

    def transact(self, bucket: Bucket, decide: Decide[T]) -> T:
        """See `state.store.Store.transact`."""
        with self._connection() as connection, connection.begin():
            found = connection.execute(_SELECT, _key(bucket)).one_or_none()
            before = _state(found)
            decision = decide(before, self._clock())
            if decision.state is before:
                return decision.result
            values = _columns(decision.state)
            if found is None:
                made = connection.execute(_INSERT, {**_bucket_columns(bucket), **values})
                row_id = made.inserted_primary_key[0]  # type: ignore[index]  # None only for executemany
            else:
                row_id = found.id
                connection.execute(_UPDATE, {"b_id": row_id, **values})
            if decision.history:
                last = connection.execute(_LAST_SEQ, {"b_id": row_id}).scalar_one()
                rows = [
                    {"limiter_id": row_id, "seq": last + n, **_event_columns(event)}
                    for n, event in enumerate(decision.history, 1)
                ]
                connection.execute(_APPEND, rows)
            return decision.result

    def read(self, bucket: Bucket) -> tuple[LimiterState | None, float]:
        """See `state.store.Store.read`."""
        with self._reading() as connection:
            found = connection.execute(_SELECT, _key(bucket)).one_or_none()
            return _state(found), self._clock()

    def buckets(self) -> Iterator[tuple[Bucket, LimiterState]]:
        """See `state.store.Store.buckets`."""
        statement = select(_row).order_by(_row.c.api, _row.c.scope, _row.c.quota_key)
        with self._reading() as connection:
            rows = connection.execute(statement).all()
        known = [(Bucket(row.api, row.scope, row.quota_key), state) for row in rows if (state := _state(row))]
        return iter(known)

    def history(self, bucket: Bucket, limit: int = 500) -> list[HistoryEvent]:
        """See `state.store.Store.history`."""
        with self._reading() as connection:
            rows = connection.execute(_HISTORY, {**_key(bucket), "b_limit": limit}).all()
        return [_event(row) for row in reversed(rows)]

    def history_length(self, bucket: Bucket) -> int:
        """See `state.store.Store.history_length`."""
        with self._reading() as connection:
            return int(connection.execute(_LENGTH, _key(bucket)).scalar_one())

    def reset(self, bucket: Bucket) -> bool:
        """See `state.store.Store.reset`."""
        with self._connection() as connection, connection.begin():
            found = connection.execute(_SELECT, _key(bucket)).one_or_none()
            if found is None:
                return False
            connection.execute(delete(_events).where(_events.c.limiter_id == found.id))
            connection.execute(delete(_row).where(_row.c.id == found.id))
            return True

    def close(self) -> None:
        """See `state.store.Store.close`."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
            self._engine.dispose()
        if self._evidence is not None:
            self._evidence.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._lock, translated(self.url):
            if self._kept is None:
                self._kept = self._engine.connect()
            yield self._kept

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self.url), engines.reading(self._engine) as connection:
            yield connection


def _key(bucket: Bucket) -> dict[str, str]:
    return {"b_api": bucket.api, "b_scope": bucket.scope, "b_quota_key": bucket.quota_key}


def _bucket_columns(bucket: Bucket) -> dict[str, str]:
    return {"api": bucket.api, "scope": bucket.scope, "quota_key": bucket.quota_key}


def _columns(state: LimiterState) -> dict[str, Any]:
    learner = {"v": LEARNER_VERSION, **{name: getattr(state, name) for name in LEARNER_FIELDS}}
    columns = {name: getattr(state, name) for name in PUBLIC_FIELDS}
    return {**columns, "learner": json.dumps(learner, separators=(",", ":"))}


def _state(row: Row[Any] | None) -> LimiterState | None:
    """The limiter of a row. Somebody's editor may have been at it: without a rate it is as good as none."""
    if row is None:
        return None
    columns = row._mapping
    values: dict[str, Any] = {name: columns[name] if _is_number(columns[name]) else 0 for name in PUBLIC_FIELDS}
    return LimiterState(**values, **_learner(columns["learner"])) if values["rate"] > 0 else None


def _learner(text: str) -> dict[str, Any]:
    """What the learner kept; nothing if another version of the algorithm, or somebody's editor, wrote it."""
    try:
        kept = json.loads(text)
        values = {name: kept[name] for name in LEARNER_FIELDS} if kept["v"] == LEARNER_VERSION else {}
        return values if all(map(_is_number, values.values())) else {}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _event_columns(event: HistoryEvent) -> dict[str, Any]:
    return {
        "at": event.at,
        "kind": KINDS.index(event.kind),
        "rate_before": event.rate_before,
        "rate_after": event.rate_after,
        "ceiling": event.ceiling,
        "retry_after": event.retry_after,
        "status": event.status,
        "cooldown_until": event.cooldown_until,
        "run_id": event.run_id or run_id.get(),
    }


def _event(row: Row[Any]) -> HistoryEvent:
    return HistoryEvent(
        at=row.at,
        kind=_KIND_NAMES.get(row.kind, "unknown"),
        rate_before=row.rate_before,
        rate_after=row.rate_after,
        ceiling=row.ceiling,
        retry_after=row.retry_after,
        status=row.status,
        cooldown_until=row.cooldown_until,
        run_id=row.run_id,
    )

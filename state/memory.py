"""Limiters in memory: for tests, for benchmarks, and for scripts that want no database."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import TypeVar

from state import fork
from state.context import run_id
from state.evidence import EvidenceStore
from state.records import Bucket, HistoryEvent, LimiterState
from state.retention import Retention
from state.store import Clock, Decide
from state.tokens import MemoryTokens

T = TypeVar("T")

HISTORY_KEPT = 10_000
"""Events kept a bucket; the oldest go first."""


class MemoryStore:
    """Limiters of this process, forgotten at its end."""

    url = "memory://"
    in_process = True

    def __init__(self, *, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[Bucket, LimiterState] = {}
        self._history: dict[Bucket, deque[HistoryEvent]] = {}
        self._opening = threading.Lock()
        self._evidence: EvidenceStore | None = None
        self.tokens = MemoryTokens(clock)
        fork.tell_in_child(self)

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "MemoryStore()"

    def in_child(self) -> None:
        """See `state.fork`."""
        self._lock, self._opening = threading.Lock(), threading.Lock()

    @property
    def evidence(self) -> EvidenceStore:
        """Evidence in an in-memory SQLite database, so that its rules are stated once."""
        with self._opening:  # two at once would be two databases
            if self._evidence is None:
                self._evidence = self._fresh_evidence()
            return self._evidence

    def _fresh_evidence(self) -> EvidenceStore:
        from state import engine, schema

        database = engine.connect(engine.parse_url("sqlite://"), "FULL")
        with database.begin() as connection:
            schema.upgrade(connection, self.url)
        return EvidenceStore(database, url=self.url, clock=self._clock)

    def transact(self, bucket: Bucket, decide: Decide[T]) -> T:
        """See `state.store.Store.transact`."""
        with self._lock:
            before = self._states.get(bucket)
            decision = decide(before, self._clock())
            if decision.state is not before:
                self._states[bucket] = decision.state
                for event in decision.history:
                    kept = self._history.setdefault(bucket, deque(maxlen=HISTORY_KEPT))
                    kept.append(replace(event, run_id=event.run_id or run_id.get()))
            return decision.result

    def read(self, bucket: Bucket) -> tuple[LimiterState | None, float]:
        """See `state.store.Store.read`."""
        return self._states.get(bucket), self._clock()

    def buckets(self) -> Iterator[tuple[Bucket, LimiterState]]:
        """See `state.store.Store.buckets`."""
        with self._lock:
            return iter(sorted(self._states.items(), key=lambda item: item[0]))

    def history(self, bucket: Bucket, limit: int = 500) -> list[HistoryEvent]:
        """See `state.store.Store.history`."""
        with self._lock:
            kept = self._history.get(bucket, deque())
            return list(islice(kept, max(0, len(kept) - limit), None))

    def history_length(self, bucket: Bucket) -> int:
        """See `state.store.Store.history_length`."""
        return len(self._history.get(bucket, ()))

    def reset(self, bucket: Bucket) -> bool:
        """See `state.store.Store.reset`."""
        with self._lock:
            self._history.pop(bucket, None)
            return self._states.pop(bucket, None) is not None

    def prune(self, *, days: float | None = None, rows: int | None = None) -> int:
        """See `state.store.Store.prune`."""
        bounds = Retention.of(days=days, rows=rows)
        too_old = self._clock() - bounds.days * 86400
        pruned = 0
        with self._lock:
            for kept in self._history.values():
                before = len(kept)
                while len(kept) > 1 and (kept[0].at < too_old or len(kept) > bounds.rows):
                    kept.popleft()
                pruned += before - len(kept)
        return pruned

    def close(self) -> None:
        """Nothing is open; what was learned stays until the process ends."""

"""The thread that works on a store for callers on event loops, who must not wait in it themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from state import fork, patience
from state.once import Once
from state.store import Store
from state.turns import too_late

T = TypeVar("T")

TELL_EVERY = 0.001
"""Seconds after which those who have their result are told, although others wait for theirs: to wake an event loop
costs as much as a transaction."""


@dataclass(frozen=True, slots=True)
class _Job:
    future: asyncio.Future[Any]
    context: Context
    work: Callable[[], Any]
    lasting: bool

    @property
    def is_wanted(self) -> bool:
        return self.lasting or not (self.future.done() or self.context.run(patience.left) <= 0)


class StoreThread:
    """Does what it is given one after the other, in the order in which it came.

    One, and not one for each caller: a row has one writer, and forty threads that wait for it hand the interpreter to
    each other. It ends what it was given before the interpreter ends.

    Args:
        url: The store, without a password, for messages.

    Example:
        >>> asyncio.run(StoreThread("memory://").do(lambda: 42))
        42
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.in_child()
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`."""
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._at_work = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="aimd-store")

    async def do(self, work: Callable[[], T], *, lasting: bool = False) -> T:
        """Have something done and wait for it without blocking the event loop.

        Args:
            work: Blocks its thread.
            lasting: Do it even if its caller has stopped waiting, and with time of its own; else it is then left out,
                unless it has begun.

        Raises:
            DatabaseBusy: It has not come to its end within `patience.left`.
        """
        loop, seconds = asyncio.get_running_loop(), patience.left()
        # Counts from now, and not from when it is its turn.
        with patience.anew() if lasting else patience.within(seconds):
            job = _Job(loop.create_future(), copy_context(), work, lasting)
        with self._lock:
            if not self._at_work:
                self._pool.submit(self._work)  # raises where the interpreter ends
                self._at_work = True
            self._jobs.append(job)
        late = loop.call_later(max(0.0, seconds), _tell, [_Outcome(job.future, error=too_late(self._url, seconds))])
        try:
            return await job.future  # type: ignore[no-any-return]
        finally:
            late.cancel()

    def _work(self) -> None:
        while True:
            with self._lock:
                jobs, self._jobs = self._jobs, deque()
                if not jobs:
                    self._at_work = False
                    return
            self._do_all(jobs)

    def _do_all(self, jobs: deque[_Job]) -> None:
        done: list[_Outcome] = []
        told = time.monotonic()
        for job in jobs:
            if not job.is_wanted:
                continue
            try:
                done.append(_Outcome(job.future, result=job.context.run(job.work)))
            except BaseException as error:  # its caller's
                done.append(_Outcome(job.future, error=error))
            if time.monotonic() > told + TELL_EVERY:
                _tell_loops(done)
                done, told = [], time.monotonic()
        _tell_loops(done)


@dataclass(frozen=True, slots=True)
class _Outcome:
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


def _tell_loops(outcomes: list[_Outcome]) -> None:
    for loop in {outcome.future.get_loop() for outcome in outcomes}:
        with suppress(RuntimeError):  # it has ended, and nobody waits
            loop.call_soon_threadsafe(_tell, [each for each in outcomes if each.future.get_loop() is loop])


def _tell(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        if outcome.future.done():  # cancelled, or late
            continue
        if outcome.error is None:
            outcome.future.set_result(outcome.result)
        else:
            outcome.future.set_exception(outcome.error)


_threads: Once[Store, StoreThread] = Once(WeakKeyDictionary())


def thread_of(store: Store) -> StoreThread:
    """The one thread of this process for a store."""
    return _threads.get(store, lambda: StoreThread(store.url))

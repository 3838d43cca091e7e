"""Places for requests in flight: who waits for one waits without turning, and the first to come is the first to go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from weakref import WeakKeyDictionary

import anyio
import httpx

from limiter import in_flight
from state import fork
from state.once import Once
from state.records import Bucket
from state.store import Store


class Gate:
    """The requests of this process that are in flight to one bucket.

    Args:
        ceiling: Never more than so many; 0 for as many as the vendor takes, which is learned.

    Example:
        >>> gate = Gate(ceiling=1)
        >>> first = gate.enter(patience=0.0)
        >>> gate.enter(patience=0.0) is None
        True
        >>> first.leave()
        >>> gate.enter(patience=0.0) is None
        False
    """

    def __init__(self, ceiling: int = 0) -> None:
        self.cap = in_flight.Cap(ceiling)
        self.in_child()
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`: what the parent has in flight is none of the child's."""
        self._lock = threading.Lock()
        self._inside = self._sent = 0
        self._waiting: deque[_Waiter] = deque()

    def enter(self, patience: float) -> Place | None:
        """Take a place, waiting up to `patience` seconds for it; None if none came free."""
        waiter = _ThreadWaiter()
        if not self._enqueue(waiter):
            return Place(self)
        began = time.monotonic()
        try:
            waiter.wait(patience)
        except BaseException:  # Ctrl-C
            self._give_up(waiter)
            raise
        return None if self._withdraw(waiter) else Place(self, time.monotonic() - began)

    async def aenter(self, patience: float) -> Place | None:
        """As `enter`, without blocking the event loop."""
        waiter = _TaskWaiter()
        if not self._enqueue(waiter):
            return Place(self)
        began = time.monotonic()
        try:
            with anyio.move_on_after(patience):
                await waiter.future
        except BaseException:  # cancelled
            self._give_up(waiter)
            raise
        return None if self._withdraw(waiter) else Place(self, time.monotonic() - began)

    def set_ceiling(self, ceiling: int) -> None:
        """Never more than so many; 0 for as many as the vendor takes. What was learned stays."""
        with self._lock:
            self.cap = replace(self.cap, ceiling=ceiling)
            self._admit()

    def explains(self, count: int) -> bool:
        """Whether the cap explains the refusal, now, of a request that went as the n-th in flight."""
        return in_flight.refused(self.cap, 0.0, count)[1]

    def succeeded(self, now: float, count: int, sent_at: float) -> None:
        """See `in_flight.succeeded`."""
        with self._lock:
            self.cap = in_flight.succeeded(self.cap, now, count, sent_at)
            self._admit()

    def refused(self, now: float, count: int) -> None:
        """See `in_flight.refused`."""
        with self._lock:
            self.cap, _ = in_flight.refused(self.cap, now, count)

    def _enqueue(self, waiter: _Waiter) -> bool:
        """Whether it has to wait; otherwise it has a place."""
        with self._lock:
            if not self._waiting and self._has_room():
                self._inside += 1
                return False
            self._waiting.append(waiter)
            return True

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Whether it was still waiting; otherwise a place has been given to it."""
        with self._lock:
            with suppress(ValueError):
                self._waiting.remove(waiter)
                return True
            return False

    def _give_up(self, waiter: _Waiter) -> None:
        if not self._withdraw(waiter):
            self._leave(sent=False)  # a place was given to it at the same moment

    def _send(self) -> int:
        with self._lock:
            self._sent += 1
            return self._sent

    def _leave(self, *, sent: bool) -> None:
        with self._lock:
            self._inside = max(0, self._inside - 1)
            self._sent = max(0, self._sent - sent)
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            self._inside += self._waiting.popleft().wake()

    def _has_room(self) -> bool:
        return not self.cap.limit or self._inside < self.cap.limit


class Place:
    """One request's place; given back once, however often `leave` is called.

    Attributes:
        waited: Seconds that it took to get it.
    """

    def __init__(self, gate: Gate, waited: float = 0.0) -> None:
        self.waited = waited
        self._gate: Gate | None = gate
        self._sent = False

    def send(self) -> int:
        """Count the request as in flight; gives how many are, with it."""
        assert self._gate is not None
        self._sent = True
        return self._gate._send()

    def leave(self) -> None:
        """Give the place to the next in line."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate._leave(sent=self._sent)

    def until_closed(self, response: httpx.Response) -> httpx.Response:
        """The response, which gives the place back when it is closed."""
        if response.is_closed:  # a transport that answers from memory; nobody will close it again
            self.leave()
        else:
            response.stream = _Held(response.stream, self)
        return response


class _Held(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that holds a place until it is closed."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, place: Place) -> None:
        self._stream, self._place = stream, place

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._stream, httpx.SyncByteStream)
        yield from self._stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._stream, httpx.AsyncByteStream)
        async for chunk in self._stream:
            yield chunk

    def close(self) -> None:
        assert isinstance(self._stream, httpx.SyncByteStream)
        try:
            self._stream.close()
        finally:
            self._place.leave()

    async def aclose(self) -> None:
        assert isinstance(self._stream, httpx.AsyncByteStream)
        try:
            await self._stream.aclose()
        finally:
            self._place.leave()


class _ThreadWaiter:
    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, patience: float) -> None:
        self._event.wait(min(patience, threading.TIMEOUT_MAX))

    def wake(self) -> bool:
        self._event.set()
        return True


class _TaskWaiter:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        """Whether there is still somebody to take the place: it may come from another thread, after the loop's end."""
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:
            return False
        return True

    def _set(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


_Waiter = _ThreadWaiter | _TaskWaiter

_gates: Once[Store, Once[Bucket, Gate]] = Once(WeakKeyDictionary())


def gate_of(store: Store, bucket: Bucket, ceiling: int) -> Gate:
    """The one gate of this process to a bucket; the last to ask sets its ceiling."""
    gate = _gates.get(store, lambda: Once({})).get(bucket, lambda: Gate(ceiling))
    gate.set_ceiling(ceiling)
    return gate

"""What a request needs done: a generator such as `limiter.exchange` yields effects, and a driver performs them.

So each order of steps is written once, for blocking and for async callers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from limiter.gate import Gate
from state.records import Bucket, Decision, LimiterState

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Transact(Generic[T]):
    """Apply a decision to a bucket; gives its result.

    A lasting one is applied even if its caller has stopped waiting for it.
    """

    bucket: Bucket
    decide: Callable[[LimiterState | None, float], Decision[T]]
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Read a bucket; gives its state and the store's time."""

    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Enter:
    """Wait for a place in flight, so many seconds at most; gives the `Place`, or None if none came free."""

    gate: Gate
    patience: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; gives the response, with its body unread."""

    request: httpx.Request


@dataclass(frozen=True, slots=True)
class Peek:
    """Read up to `replies.BODY_LIMIT` bytes of the body, without taking them from whoever reads it later."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Close:
    """Close a response that nobody will read."""

    response: httpx.Response


Effect = Transact[Any] | Read | Sleep | Enter | Send | Peek | Close


def run(steps: Generator[E, Any, T], perform: Callable[[E], Any]) -> T:
    """Perform effects until the generator returns; an exception is the generator's to decide on.

    Args:
        steps: Yields effects.
        perform: Does one and gives its result.
    """
    result: Any = None
    error: Exception | None = None
    while True:
        try:
            effect = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as stop:
            returned: T = stop.value
            return returned
        result = error = None
        try:
            result = perform(effect)
        except Exception as raised:
            error = raised


async def arun(steps: Generator[E, Any, T], perform: Callable[[E], Awaitable[Any]]) -> T:
    """As `run`, for async effects."""
    result: Any = None
    error: Exception | None = None
    while True:
        try:
            effect = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as stop:
            returned: T = stop.value
            return returned
        result = error = None
        try:
            result = await perform(effect)
        except Exception as raised:
            error = raised

"""What a request needs done: `limiter.exchange` yields effects, the drivers of `limiter.transport` perform them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from limiter.gate import Gate
from state.records import Bucket, Decision, LimiterState

T = TypeVar("T")


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

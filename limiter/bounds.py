"""How long a request keeps trying, and which requests may be tried again at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import httpx

from limiter.errors import ConfigurationError
from limiter.replies import THROTTLED

FAULT_TRIES = 3
"""Sends of a safe request that meets faults."""
FAULT_SECONDS = 30.0
"""And how long after the first of them the last may begin."""
BEGUN = "aimd_begun"
"""The extension of a request that has its `Begun`: its token and its redirects belong to it."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Begun:
    """A request under way, with its redirects.

    Attributes:
        at: When it began, seconds of the monotonic clock.
        waited: Seconds since, for places, slots and pauses.
    """

    at: float
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a request keeps trying.

    Attributes:
        max_retries: Sends again after a throttled or overloaded reply.
        max_wait: Seconds it may wait in all, its redirects included; None for as long as it takes.
        backoff_status_codes: What counts as throttled besides 429 and 529, which always do.
        deadline: Seconds it may take in all, sends, redirects and a token for it included, until its reply begins;
            None for as long as it takes.
        monotonic: Gives seconds of a clock that is never set.
        ends: When the deadline is, on that clock; `of` sets it.

    Raises:
        ConfigurationError: A value cannot work.
    """

    max_retries: int = 20
    max_wait: float | None = None
    backoff_status_codes: Collection[int] = THROTTLED
    deadline: float | None = None
    monotonic: Callable[[], float] = time.monotonic
    ends: float = math.inf

    def __post_init__(self) -> None:
        if isinstance(self.max_retries, bool) or not isinstance(self.max_retries, int) or self.max_retries < 0:
            raise ConfigurationError(f"max_retries must be a whole number of at least 0, not {self.max_retries!r}.")
        for name in ("max_wait", "deadline"):
            wait = getattr(self, name)
            if wait is not None and (isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0):
                raise ConfigurationError(f"{name} must be a number of seconds of at least 0, or None, not {wait!r}.")
        codes = self.backoff_status_codes
        if not isinstance(codes, Collection) or not all(isinstance(code, int) for code in codes):
            raise ConfigurationError(f"backoff_status_codes must be a collection of HTTP statuses, not {codes!r}.")

    def begin(self, request: httpx.Request) -> None:
        """Note that a request begins now; without it, one begins when it reaches the transport."""
        request.extensions[BEGUN] = Begun(self.monotonic())

    def begun(self, request: httpx.Request) -> Begun:
        """When a request began, and what it has waited."""
        begun: Begun = request.extensions.get(BEGUN) or Begun(self.monotonic())
        return begun

    def of(self, request: httpx.Request) -> Bounds:
        """The bounds of a request.

        It may have less patience than the others: `extensions={"max_wait": 5.0, "deadline": 10.0}`; None is as if it
        were not there.

        Raises:
            ConfigurationError: One of them cannot work; nothing was sent.
        """
        given = {name: request.extensions.get(name) for name in ("max_wait", "deadline")}
        own = {name: seconds for name, seconds in given.items() if seconds is not None}
        if not own and self.deadline is None:
            return self
        bounds = replace(self, **own)  # which checks them
        for name, seconds in own.items():
            limit = getattr(self, name)
            if limit is not None and limit < seconds:
                bounds = replace(bounds, **{name: limit})
        if bounds.deadline is None:
            return bounds
        return replace(bounds, ends=self.begun(request).at + bounds.deadline)

    def patience(self, waited: float) -> float:
        """Seconds that a request may still wait."""
        return min(math.inf if self.max_wait is None else self.max_wait - waited, self.left())

    def left(self) -> float:
        """Seconds until the deadline."""
        return math.inf if self.deadline is None else self.ends - self.monotonic()

    def hurried(self, request: httpx.Request) -> httpx.Request:
        """The request, with no time-out that ends after the deadline."""
        if self.deadline is not None:
            left = max(0.0, self.left())
            given = request.extensions.get("timeout", {})
            request.extensions["timeout"] = {
                name: left if given.get(name) is None else min(left, given[name])
                for name in ("connect", "read", "write", "pool")
            }
        return request


class Faults:
    """The faults that one request has met; the refusals between them are another matter, and do not count."""

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0

    def pause(self, request: httpx.Request, sent_at: float, now: float, patience: float) -> float | None:
        """Count a fault; gives the seconds until the next try, or None if there is none."""
        self._since = self._since if self._count else sent_at
        self._count += 1
        if not (is_safe(request) and is_replayable(request) and may_try_again(self._count, now - self._since)):
            return None
        delay = fault_delay(self._count)
        return delay if delay <= patience else None


def may_try_again(faults: int, elapsed: float) -> bool:
    """Whether a safe request that met a fault is sent again.

    Args:
        faults: How many it has met.
        elapsed: Seconds since the send that met the first.
    """
    return faults < FAULT_TRIES and elapsed + fault_delay(faults) <= FAULT_SECONDS


def fault_delay(faults: int) -> float:
    """Seconds to wait after the n-th fault: 1, 2, 4 ..."""
    return float(2 ** (faults - 1))


def is_safe(request: httpx.Request) -> bool:
    """Whether it changes nothing at the vendor: by its method, or because its sender says so."""
    return request.method in SAFE_METHODS or request.extensions.get("safe") is True


def is_replayable(request: httpx.Request) -> bool:
    """Only a body held in memory can be sent twice; a stream or an upload has been consumed."""
    return isinstance(request.stream, httpx.ByteStream)

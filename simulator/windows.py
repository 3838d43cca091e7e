"""Limits that count requests in a window: fixed, sliding, and sliding with a penalty."""

import math
from collections import deque

from simulator.checks import plain, positive, whole
from simulator.verdict import RatePolicy, Verdict

DEFAULT_PHASE = 0.37
"""Real windows do not begin when a client's first request arrives; nor do these."""


class FixedWindow(RatePolicy):
    """Admits `count` requests in each window of a fixed grid, so up to twice that around a boundary.

    Args:
        count: Requests per window.
        window: Length of a window in seconds.
        phase: Where in a window second 0 of the clock lies, as a fraction of it: 0 <= phase < 1.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, count: float, window: float, phase: float = DEFAULT_PHASE) -> None:
        self._count = whole("count", count)
        self._window = positive("window", window)
        if not 0 <= phase < 1:
            raise ValueError(f"phase must be a fraction from 0 to below 1, not {phase!r}")
        self._phase = float(phase)
        self._used = 0
        self._ends = -math.inf

    def __str__(self) -> str:
        """Return the spec."""
        phase = "" if self._phase == DEFAULT_PHASE else f",phase={plain(self._phase)}"
        return f"fixed:count={self._count},window={plain(self._window)}{phase}"

    def admit(self, now: float) -> Verdict:
        """Use one of the window's requests, or say when the next window begins."""
        if now >= self._ends:
            self._used = 0
            self._ends = self._next_boundary(now)
        if self._used < self._count:
            self._used += 1
            return Verdict(True, 0.0)
        return Verdict.at(self._ends, now)

    def rate(self, _now: float, /) -> float:
        """Return the average over a window, requests/s."""
        return self._count / self._window

    def quota(self, now: float) -> tuple[int, int, float]:
        """Return the window's count, how many of them are used, and when it ends, for a vendor that tells."""
        if now >= self._ends:
            return self._count, 0, self._next_boundary(now)
        return self._count, self._used, self._ends

    def refund(self) -> None:
        """Take back the last request that was counted."""
        self._used = max(0, self._used - 1)

    def _next_boundary(self, now: float) -> float:
        offset = self._phase * self._window
        index = math.floor((now + offset) / self._window) + 1
        if index * self._window - offset <= now:
            index += 1  # `now` is a boundary, and the division was rounded down
        return index * self._window - offset


class SlidingWindow(RatePolicy):
    """Admits `count` requests in any interval of `window` seconds.

    Args:
        count: Requests per window.
        window: Length of the window in seconds.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, count: float, window: float) -> None:
        self._count = whole("count", count)
        self._window = positive("window", window)
        self._admitted: deque[float] = deque()

    def __str__(self) -> str:
        """Return the spec."""
        return f"sliding:count={self._count},window={plain(self._window)}"

    def admit(self, now: float) -> Verdict:
        """Count the request, or say when the oldest one leaves the window."""
        if len(self._admitted) == self._count:
            verdict = Verdict.at(self._admitted[0] + self._window, now)
            if not verdict.allowed:
                return verdict
            self._admitted.popleft()
        self._admitted.append(now)
        return Verdict(True, 0.0)

    def rate(self, _now: float, /) -> float:
        """Return the average over a window, requests/s."""
        return self._count / self._window


class Penalty(RatePolicy):
    """A sliding window that locks everyone out once it is exceeded, as Airtable's does for 30 s.

    Requests during a lockout do not prolong it.

    Args:
        count: Requests per window.
        window: Length of the window in seconds.
        lockout: Seconds for which everything is refused after a request too many.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, count: float, window: float = 1.0, lockout: float = 30.0) -> None:
        self._inner = SlidingWindow(count, window)
        self._spec = f"count={whole('count', count)},window={plain(positive('window', window))}"
        self._lockout = positive("lockout", lockout)
        self._locked_until = -math.inf

    def __str__(self) -> str:
        """Return the spec."""
        return f"penalty:{self._spec},lockout={plain(self._lockout)}"

    def admit(self, now: float) -> Verdict:
        """Count the request; if it is one too many, begin a lockout."""
        if now < self._locked_until:
            return Verdict.at(self._locked_until, now)
        verdict = self._inner.admit(now)
        if verdict.allowed:
            return verdict
        # A lockout shorter than the window must not end while the window is still full.
        self._locked_until = now + max(self._lockout, verdict.retry_after)
        return Verdict.at(self._locked_until, now)

    def rate(self, now: float) -> float:
        """Return what can be had without ever being locked out, requests/s."""
        return self._inner.rate(now)

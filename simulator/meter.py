"""What the simulator saw: the truth that a client's own report can be compared with."""

import threading
from collections import Counter, deque
from typing import Any

KEPT = 10_000
"""How many times of arrivals and of rejections are kept."""
TOLERANCE = 0.05
"""Seconds before the end of a Retry-After in which a request does not count as early."""


class Meter:
    """Counts requests. Times are epoch seconds; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._rejected = self._refused = self._early = 0
        self._accepted: Counter[str] = Counter()
        self._in_flight = self._max_in_flight = 0
        self._first_at = self._last_at = self._cooldown_until = 0.0
        self._arrivals: deque[float] = deque(maxlen=KEPT)
        self._rejections: deque[float] = deque(maxlen=KEPT)

    def arrive(self, now: float) -> None:
        """Count a request that arrives.

        It is early if a 429 that was *already sent* told everyone to wait longer. One that was under
        way when the 429 was sent could not know: it arrived before `hold` was called.
        """
        with self._lock:
            self._requests += 1
            self._first_at = self._first_at or now
            self._last_at = now
            self._arrivals.append(now)
            self._early += now < self._cooldown_until - TOLERANCE
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)

    def leave(self) -> None:
        """Count a request that is finished."""
        with self._lock:
            self._in_flight -= 1

    def accept(self, route: str) -> None:
        """Count a request that was let through, by method and path."""
        with self._lock:
            self._accepted[route] += 1

    def refuse(self) -> None:
        """Count a 400, 401 or 404."""
        with self._lock:
            self._refused += 1

    def reject(self, now: float) -> None:
        """Count a request that was over the limit at `now`."""
        with self._lock:
            self._rejected += 1
            self._rejections.append(now)

    def hold(self, until: float) -> None:
        """Remember that a 429 being sent asks to wait until then."""
        with self._lock:
            self._cooldown_until = max(self._cooldown_until, until)

    def report(self) -> dict[str, Any]:
        """Return all counts; see `Simulator.stats`."""
        with self._lock:
            return {
                "requests": self._requests,
                "accepted": self._accepted.total(),
                "rejected": self._rejected,
                "refused": self._refused,
                "by_path": dict(self._accepted),
                "early": self._early,
                "cooldown_until": self._cooldown_until,
                "first_at": self._first_at,
                "last_at": self._last_at,
                "max_in_flight": self._max_in_flight,
                "arrivals": list(self._arrivals),
                "rejections": list(self._rejections),
            }

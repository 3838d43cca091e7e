"""What one client has done so far: figures for people and reports. The limiter itself never reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Tally:
    """Counts of one `Limiter` object since it was made; threads and tasks that share it add to the same counts.

    Another client of the same bucket counts by itself: the bucket's own count of refusals is `snapshot()["throttles"]`.

    Args:
        tell: Hears of what is added to each count; see `limiter.hooks.counter`.

    Attributes:
        requests: Sends to the API, those that were tried again included.
        throttled: Replies by which the vendor said "too fast".
        waited: Seconds spent waiting for slots, cooldowns and places in flight, added up over all requests.

    Example:
        >>> tally = Tally()
        >>> tally.add(requests=1, waited=0.5)
        >>> tally
        Tally(requests=1, throttled=0, waited=0.5)
    """

    def __init__(self, tell: Callable[[int, int, float], None] | None = None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self.requests = 0
        self.throttled = 0
        self.waited = 0.0

    def add(self, *, requests: int = 0, throttled: int = 0, waited: float = 0.0) -> None:
        """Add to the counts; `waited` in seconds."""
        with self._lock:
            self.requests += requests
            self.throttled += throttled
            self.waited += waited
        if self._tell is not None and (requests or throttled or waited):
            self._tell(requests, throttled, waited)

    def __repr__(self) -> str:
        return f"Tally(requests={self.requests}, throttled={self.throttled}, waited={self.waited:g})"

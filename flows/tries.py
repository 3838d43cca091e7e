"""How often is asked again for what comes broken: by the rule that the limiter has for faults of the connection."""

from __future__ import annotations

import time
from collections.abc import Callable

from flows.errors import BadPage
from limiter.bounds import fault_delay, may_try_again


class Tries:
    """The broken answers to the request for one page or file.

    Args:
        what: Who was asked for what and did not give it, as the beginning of a sentence that says why.
        safe: Whether it may be asked for again at all.
        monotonic: Gives seconds of a clock that is never set.
    """

    def __init__(self, what: str, *, safe: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._safe = safe
        self._monotonic = monotonic
        self._broken = 0
        self._since = 0.0

    def pause(self, error: BadPage) -> float:
        """Count a broken answer; gives the seconds until the next try.

        Raises:
            BadPage: There is none.
        """
        now = self._monotonic()
        if not self._broken:  # and not before: the try until then may have waited for a cooldown as long as any
            self._since = now
        self._broken += 1
        if self._safe and may_try_again(self._broken, now - self._since):
            return fault_delay(self._broken)
        raise BadPage(f"{self._what}: {error}") from error

"""Token buckets: a steady one, and one whose rate drifts during the day."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.checks import at_least_one, plain, positive
from simulator.verdict import RatePolicy, Verdict


@dataclass(frozen=True, slots=True)
class _Level:
    """How many tokens there were at a moment. The default is a bucket that has always been filling."""

    tokens: float
    at: float = -math.inf

    def later(self, now: float, rate: float, burst: float) -> "_Level":
        elapsed = max(0.0, now - self.at)
        return _Level(min(burst, self.tokens + elapsed * rate), max(now, self.at))

    def ready(self, rate: float) -> float:
        """The moment from which there is a whole token."""
        return self.at if self.tokens >= 1 else self.at + (1 - self.tokens) / rate


class TokenBucket(RatePolicy):
    """Admits `rate` requests/s on average and `burst` at once; starts full.

    Args:
        rate: Tokens that flow in, per second.
        burst: Tokens it can hold, at least 1.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = positive("rate", rate)
        self._burst = at_least_one("burst", burst)
        self._level = _Level(self._burst)

    def __str__(self) -> str:
        """Return the spec."""
        return f"token:rate={plain(self._rate)},burst={plain(self._burst)}"

    def admit(self, now: float) -> Verdict:
        """Take a token, or say when there will be one."""
        verdict = Verdict.at(self._level.ready(self._rate), now)
        if verdict.allowed:
            level = self._level.later(now, self._rate, self._burst)
            self._level = _Level(level.tokens - 1, level.at)
        return verdict

    def rate(self, _now: float, /) -> float:
        """Return the rate at which tokens flow in, requests/s."""
        return self._rate


class Drift(RatePolicy):
    """A token bucket whose rate and burst change at given times, as a vendor's do under load.

    Args:
        rate: Tokens per second before the first step.
        burst: Tokens it can hold before the first step, at least 1; never below 1 later.
        steps: Pairs of when, in seconds since the first request, and by what factor of the *original*
            rate and burst it runs from then on; in order of time.

    Raises:
        ValueError: If a number is out of range, or the steps are missing or not in order.
    """

    def __init__(self, rate: float, burst: float, steps: Sequence[tuple[float, float]]) -> None:
        self._base_rate = positive("rate", rate)
        self._base_burst = at_least_one("burst", burst)
        self._steps = tuple((positive("at", at), positive("factor", factor)) for at, factor in steps)
        for _, factor in self._steps:
            positive("rate times factor", self._base_rate * factor)
        times = [at for at, _ in self._steps]
        if not times or times != sorted(set(times)):
            raise ValueError(f"at must be one or more times in ascending order, not {times}")
        self._origin: float | None = None
        self._done = 0  # steps taken
        self._level = _Level(self._base_burst)

    def __str__(self) -> str:
        """Return the spec."""
        at, factor = ("/".join(map(plain, column)) for column in zip(*self._steps, strict=True))
        base = f"rate={plain(self._base_rate)},burst={plain(self._base_burst)}"
        return f"drift:{base},at={at},factor={factor}"

    def admit(self, now: float) -> Verdict:
        """Take a token, or say when there will be one, with the steps between now and then."""
        if self._origin is None:
            self._origin = now
        while self._due(self._done) <= now:
            self._level = self._stepped(self._level, self._done)
            self._done += 1
        verdict = Verdict.at(self._ready(), now)
        if verdict.allowed:
            level = self._level.later(now, self._rate(self._done), self._burst(self._done))
            self._level = _Level(level.tokens - 1, level.at)
        return verdict

    def rate(self, now: float) -> float:
        """Return the rate that holds at `now`, requests/s."""
        return self._rate(sum(self._due(i) <= now for i in range(len(self._steps))))

    def _ready(self) -> float:
        level, done = self._level, self._done
        while (ready := level.ready(self._rate(done))) > self._due(done):
            level = self._stepped(level, done)
            done += 1
        return ready

    def _stepped(self, level: _Level, done: int) -> _Level:
        level = level.later(self._due(done), self._rate(done), self._burst(done))
        return _Level(min(level.tokens, self._burst(done + 1)), level.at)

    def _due(self, done: int) -> float:
        if self._origin is None or done == len(self._steps):
            return math.inf
        return self._origin + self._steps[done][0]

    def _factor(self, done: int) -> float:
        return self._steps[done - 1][1] if done else 1.0

    def _rate(self, done: int) -> float:
        return self._base_rate * self._factor(done)

    def _burst(self, done: int) -> float:
        return max(1.0, self._base_burst * self._factor(done))

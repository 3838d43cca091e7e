"""The hidden limits by name, and the spec strings that make them: `token:rate=5,burst=5`.

Pure: no clock and no randomness. See `simulator.verdict` for the rules that every policy keeps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.buckets import Drift, TokenBucket
from simulator.checks import number, plain, positive, whole
from simulator.verdict import Policy, RatePolicy, Verdict
from simulator.windows import FixedWindow, Penalty, SlidingWindow

__all__ = [
    "Drift",
    "FixedWindow",
    "InFlight",
    "Penalty",
    "Policy",
    "SlidingWindow",
    "TokenBucket",
    "Unlimited",
    "Verdict",
    "parse_policy",
]

IN_FLIGHT_RETRY_AFTER = 1.0
"""Seconds. A cap cannot know when a request will end, so it names a round number, as vendors do."""


class Unlimited(RatePolicy):
    """Admits everything."""

    def __str__(self) -> str:
        """Return the spec."""
        return "none"

    def admit(self, _now: float, /) -> Verdict:
        """Admit the request."""
        return Verdict(True, 0.0)

    def rate(self, _now: float, /) -> float:
        """Return infinity."""
        return math.inf


class InFlight:
    """Admits a request while fewer than `cap` are in flight.

    Args:
        cap: Requests at a time.
        latency: Mean time in seconds that a request stays in flight, if known; only for `rate`.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, cap: float, latency: float | None = None) -> None:
        self._cap = whole("cap", cap)
        self._latency = None if latency is None else positive("latency", latency)
        self._in_flight = 0

    def __str__(self) -> str:
        """Return the spec."""
        latency = "" if self._latency is None else f",latency={plain(self._latency)}"
        return f"inflight:cap={self._cap}{latency}"

    def admit(self, _now: float, /) -> Verdict:
        """Take a place, or refuse for a second; the place may be free sooner or later than that."""
        if self._in_flight >= self._cap:
            return Verdict(False, IN_FLIGHT_RETRY_AFTER)
        self._in_flight += 1
        return Verdict(True, 0.0)

    def release(self, _now: float, /) -> None:
        """Give a place back."""
        self._in_flight = max(0, self._in_flight - 1)

    def rate(self, _now: float, /) -> float:
        """Return what the cap allows at the latency given, requests/s; infinity without one."""
        return math.inf if self._latency is None else self._cap / self._latency


@dataclass(frozen=True, slots=True)
class _Kind:
    example: str
    make: Callable[..., Policy]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # those of the required keys that take several numbers, as 300/600


def _drift(rate: float, burst: float, at: Sequence[float], factor: Sequence[float]) -> Drift:
    if len(at) != len(factor):
        raise ValueError(f"at has {len(at)} and factor {len(factor)} values, and they go in pairs")
    return Drift(rate, burst, list(zip(at, factor, strict=True)))


_KINDS = {
    "token": _Kind("token:rate=5,burst=5", TokenBucket, ("rate", "burst")),
    "fixed": _Kind("fixed:count=50,window=10", FixedWindow, ("count", "window"), ("phase",)),
    "sliding": _Kind("sliding:count=50,window=10", SlidingWindow, ("count", "window")),
    "penalty": _Kind("penalty:count=5,window=1,lockout=30", Penalty, ("count",), ("window", "lockout")),
    "inflight": _Kind("inflight:cap=4", InFlight, ("cap",), ("latency",)),
    "drift": _Kind(
        "drift:rate=10,burst=10,at=300/600,factor=0.5/1.0",
        _drift,
        ("rate", "burst", "at", "factor"),
        lists=("at", "factor"),
    ),
    "none": _Kind("none", Unlimited),
}


def parse_policy(spec: str) -> Policy:
    """Make the policy that a spec describes.

    Args:
        spec: For example `token:rate=5,burst=5`; rates in requests/s, times in seconds.

    Raises:
        ValueError: If the spec is not understood; the message says why and lists the known forms.

    Example:
        >>> str(parse_policy("sliding:count=50, window=10"))
        'sliding:count=50,window=10'
    """
    try:
        return _parse(spec)
    except ValueError as error:
        forms = ", ".join(kind.example for kind in _KINDS.values())
        raise ValueError(f"bad policy {spec!r}: {error} (known forms: {forms})") from None


def _parse(spec: str) -> Policy:
    name, _, rest = spec.partition(":")
    kind = _KINDS.get(name.strip())
    if kind is None:
        raise ValueError(f"unknown kind {name.strip()!r}")
    values: dict[str, float | list[float]] = {}
    for pair in rest.split(",") if rest.strip() else ():
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not equals:
            raise ValueError(f"{pair.strip()!r} is not of the form key=number")
        if key not in kind.required + kind.optional:
            raise ValueError(f"unknown key {key!r}")
        if key in values:
            raise ValueError(f"{key} is given twice")
        if key in kind.lists:
            values[key] = [number(key, part.strip()) for part in text.split("/")]
        else:
            values[key] = number(key, text)
    if missing := [key for key in kind.required if key not in values]:
        raise ValueError(f"{' and '.join(missing)} missing")
    return kind.make(**values)

"""A vendor with a hidden rate limit, for demos, tests and benchmarks.

`Simulator` is a real HTTP server that speaks the shapes of one of eight vendors (`simulator.vendors`). Its
limits (`simulator.policies`) are pure and take the time as an argument, so that a benchmark can use them in
virtual time; importing them does not import the server.

Example:
    >>> from simulator import parse_policy
    >>> policy = parse_policy("token:rate=2,burst=1")
    >>> policy.admit(0.0)
    Verdict(allowed=True, retry_after=0.0)
    >>> policy.admit(0.0)
    Verdict(allowed=False, retry_after=0.5)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.faults import Fault, parse_fault
    from simulator.policies import (
        Drift,
        FixedWindow,
        InFlight,
        Penalty,
        Policy,
        SlidingWindow,
        TokenBucket,
        Unlimited,
        Verdict,
        parse_policy,
    )
    from simulator.server import Simulator
    from simulator.vendors import make_world
    from simulator.vendors.notion import World

__all__ = [
    "Drift",
    "Fault",
    "FixedWindow",
    "InFlight",
    "Penalty",
    "Policy",
    "Simulator",
    "SlidingWindow",
    "TokenBucket",
    "Unlimited",
    "Verdict",
    "World",
    "make_world",
    "parse_fault",
    "parse_policy",
]

_ELSEWHERE = {
    "Fault": "faults",
    "Simulator": "server",
    "World": "vendors.notion",
    "make_world": "vendors",
    "parse_fault": "faults",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'policies')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)

"""The rules of the core, each taken away by itself: what it would cost to do without."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.random_limits import COLUMNS, Drawn, Result, compared, draw, judge
from benchmarks.tables import table
from limiter import aimd

RULES: Mapping[str, Mapping[str, Any]] = {
    "all rules": {},
    "no horizon": {"HORIZON": 1e9},
    "no search below the ceiling": {"FAR_BELOW": 0.0},
    "ceiling never stale": {"STALE": 1e9},
    "no low landing when far off": {"FAR_OFF": aimd.DEEPEST},
    "no landing on what was delivered": {"DEEPEST": 0.92, "FAR_OFF": 0.92},
    "slow rates probed in leaps": {"GENTLEST": aimd.STEEPEST},
    "no hold by outage": {"HOLD_OUTAGES": 0},
    "no hold by requests": {"HOLD_REQUESTS": 0},
    "failed probes land lower": {"_landing": lambda state, config: state.rate * config.decrease_factor},
    "all ask whether an outage is over": {"_pause_of_one": lambda _state, _config: 0.0},
}
"""What each of them changes in `limiter.aimd`."""


@contextmanager
def without(rule: str) -> Iterator[None]:
    """The core without a rule, in this process and for as long as the block takes."""
    kept = {name: getattr(aimd, name) for name in RULES[rule]}
    try:
        for name, value in RULES[rule].items():
            setattr(aimd, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(aimd, name, value)


def report(seed: int, count: int) -> str:
    """Judge the core without each of its rules on the same drawn limits, and return the table."""
    rows = [["", *COLUMNS], *compared(RULES, _judge, draw(seed, count))]
    return f"THE LADDER: the core without one of its rules ({count} limits drawn with seed {seed})\n\n{table(rows)}"


def _judge(rule: str, drawn: Drawn, best: float) -> Result:
    with without(rule):
        return judge("prefect-aimd", drawn, best)

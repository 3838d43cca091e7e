"""Limits drawn at random, which nobody can have tuned on, and what an algorithm scores on them."""

import itertools
import math
import multiprocessing
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.constant import TOLERATED, Constant
from benchmarks.core import Core
from benchmarks.score import Score, score
from benchmarks.tables import table
from benchmarks.textbook import Textbook
from benchmarks.virtual import Algorithm, in_whole_seconds, simulate
from limiter.config import ApiRateConfig
from simulator import parse_policy

FREE = 0.5
"""% of rejections that cost nothing: a vendor's limit cannot be found without meeting it."""
WEIGHT = 2.0
"""What a further % of rejections costs, in % of goodput."""
FRACTIONS = (1.0, 0.97, 0.93, 0.87, 0.8, 0.7, 0.6, 0.45, 0.3)
"""Of the limit: the constant rates that are tried."""
LONGEST = 3600.0
"""Seconds of virtual time a run may take."""


@dataclass(frozen=True)
class Drawn:
    """A hidden limit and those who meet it.

    Attributes:
        kind: Of the policy.
        spec: For `parse_policy`.
        limit: Requests/s on average.
        seconds: How long a run takes.
        seed: For the latencies.
        callers: How many at a time.
        latency: Shortest and longest, seconds.
        advice: How a refusal tells the wait: in whole seconds, exactly, or not at all.
        initial_rate: What the algorithm begins with, requests/s.
    """

    kind: str
    spec: str
    limit: float
    seconds: float
    seed: int
    callers: int
    latency: tuple[float, float]
    advice: str
    initial_rate: float


@dataclass(frozen=True)
class Result:
    """What an algorithm did at one limit: goodput short of the best constant rate, rejections, and both in one."""

    gap: float
    rejected: float

    @property
    def score(self) -> float:
        """Lower is better."""
        return self.gap + WEIGHT * max(0.0, self.rejected - FREE)


def draw(seed: int, count: int) -> list[Drawn]:
    """Draw limits.

    They allow 0.3 to 100 requests/s with bursts of 1 up to a second's worth, or count in windows of 1 to 600 s, sliding
    or fixed, or lock out for 5 to 60 s. Latencies are 20 ms to 3 s, first guesses up to ten times too low or too high.
    """
    source = random.Random(seed)
    found: list[Drawn] = []
    while len(found) < count:
        one = _draw(source)
        if one is not None:
            found.append(one)
    return found


def _draw(source: random.Random) -> Drawn | None:
    kind = source.choices(["token", "fixed", "sliding", "penalty", "drift"], [30, 20, 15, 20, 15])[0]
    rate, window = _log_uniform(source, 0.3, 100.0), 1.0
    if kind in ("token", "drift"):
        burst = 1.0 if source.random() < 0.2 else round(_log_uniform(source, 1.0, max(1.0, rate)))
        spec = f"{kind}:rate={rate:.4f},burst={burst:g}"
        if kind == "drift":
            at = "/".join(f"{source.uniform(60, 500):.0f}" for _ in range(2))
            at = "/".join(sorted(at.split("/"), key=float))
            spec += f",at={at},factor={_log_uniform(source, 0.3, 3):.3f}/{_log_uniform(source, 0.3, 3):.3f}"
    elif kind == "penalty":
        count = source.randint(2, 30)
        rate, spec = float(count), f"penalty:count={count},window=1,lockout={source.uniform(5, 60):.1f}"
    else:
        window = float(round(_log_uniform(source, 1.0, 600.0)))
        count = max(5, round(rate * window))
        rate, spec = count / window, f"{kind}:count={count},window={window:g}"
    shortest = _log_uniform(source, 0.02, 1.5)
    latency = shortest, min(3.0, shortest * source.uniform(1.2, 4.0))
    callers = round(_log_uniform(source, 1.0, 64.0))
    if rate > 110 or callers < 1.25 * rate * mean(latency):
        return None  # the callers would not reach the limit
    return Drawn(
        kind=kind,
        spec=spec,
        limit=rate,
        seconds=min(LONGEST, max(600.0, 6 * window, 300 / rate), max(300.0, 6 * window, 12_000 / rate)),
        seed=source.randrange(10**6),
        callers=callers,
        latency=latency,
        advice=source.choice(["whole", "whole", "exact", "none"]),
        initial_rate=rate * _log_uniform(source, 0.1, 10.0),
    )


def _log_uniform(source: random.Random, low: float, high: float) -> float:
    return math.exp(source.uniform(math.log(low), math.log(high)))


def play(algorithm: Algorithm, drawn: Drawn) -> Score:
    """Run an algorithm against a drawn limit; the goodput is that after the first minute and twenty requests."""
    advice = {"whole": in_whole_seconds, "exact": lambda wait, _: wait, "none": lambda _wait, _now: None}[drawn.advice]
    policy = parse_policy(drawn.spec)
    log = simulate(
        algorithm,
        policy,
        begin=0.0,
        seconds=drawn.seconds,
        seed=drawn.seed,
        callers=drawn.callers,
        latency=drawn.latency,
        advice=advice,
    )
    settled = score(log, policy, 60.0 + 20.0 / drawn.limit, drawn.seconds)
    return Score(settled.goodput, score(log, policy, 0.0, drawn.seconds).rejected)


def frontier(drawn: Drawn) -> float:
    """The goodput of the best constant rate, % of the limit, that somebody who knew it could have chosen."""
    if drawn.kind == "drift":
        return 100.0
    best = 0.0
    for fraction in FRACTIONS:
        found = play(Constant(drawn.limit * fraction), drawn)
        if found.rejected <= TOLERATED:
            best = max(best, found.goodput)
        if best > 97.0 * fraction:
            break
    return min(100.0, best or 100.0 * FRACTIONS[-1])


def core(drawn: Drawn) -> Algorithm:
    """The project's own algorithm, with a first guess but without bounds that would give the limit away."""
    return Core(
        ApiRateConfig("drawn", "https://vendor.test", initial_rate=drawn.initial_rate, min_rate=0.001, max_rate=2_000.0)
    )


ALGORITHMS: Mapping[str, Callable[[Drawn], Algorithm]] = {"prefect-aimd": core, "textbook AIMD": lambda _: Textbook()}


def judge(name: str, drawn: Drawn, best: float) -> Result:
    """Run one algorithm at one limit.

    Args:
        name: Of `ALGORITHMS`.
        drawn: The limit.
        best: Its `frontier`.
    """
    found = play(ALGORITHMS[name](drawn), drawn)
    return Result(max(0.0, best - found.goodput), found.rejected)


def report(seed: int, count: int) -> str:
    """Judge all algorithms on limits drawn with a seed, on all cores, and return the table."""
    rows = [["algorithm", *COLUMNS], *compared(ALGORITHMS, judge, draw(seed, count))]
    return (
        f"LIMITS DRAWN AT RANDOM ({count} of them, seed {seed}; virtual time)\n"
        f"Score: goodput short of the best constant rate, in %, plus {WEIGHT:g} for each % of rejections above "
        f"{FREE:g}.\n\n{table(rows)}"
    )


def compared(
    names: Iterable[str], judged: Callable[[str, Drawn, float], Result], limits: Sequence[Drawn]
) -> list[list[str]]:
    """Rows of a table, one for each name, of the same limits; on all cores.

    Args:
        names: What is compared.
        judged: As `judge`; a function of a module, since other processes call it.
        limits: From `draw`.
    """
    with multiprocessing.get_context("spawn").Pool() as pool:
        best = pool.map(frontier, limits, chunksize=1)
        jobs = [(name, *pair) for name, pair in itertools.product(names, zip(limits, best, strict=True))]
        results = list(zip(jobs, pool.starmap(judged, jobs, chunksize=1), strict=True))
    return [[name, *summary([each for job, each in results if job[0] == name])] for name in names]


COLUMNS = ("score", "gap", "rejected mean", "median", "p90", "worst tenth")


def summary(results: Sequence[Result]) -> list[str]:
    """The cells of a row of `COLUMNS`."""
    scores, rejected = sorted(each.score for each in results), sorted(each.rejected for each in results)
    middle, late = rejected[len(rejected) // 2], rejected[int(0.9 * len(rejected))]
    worst = scores[-max(1, len(scores) // 10) :]
    figures = (mean(scores), mean(each.gap for each in results), mean(rejected), middle, late, mean(worst))
    return [f"{figure:.2f}" for figure in figures]

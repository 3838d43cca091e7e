"""Limits drawn at random, which nobody can have tuned on, and what an algorithm scores on them."""

import itertools
import math
import multiprocessing
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from benchmarks.constant import TOLERATED, Constant
from benchmarks.core import Core
from benchmarks.flying import ALWAYS, Demand, Gated, GatedCore, Ungated, simulate
from benchmarks.hybrid import Hybrid
from benchmarks.score import Score, score
from benchmarks.tables import table
from benchmarks.textbook import Textbook
from benchmarks.virtual import in_whole_seconds
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
LOWEST, HIGHEST = 0.001, 2_000.0
"""Requests/s: bounds that give no limit away."""
KINDS = {"token": 30, "fixed": 20, "sliding": 15, "penalty": 20, "drift": 15, "inflight": 10}
"""Of policies, and how often each is drawn."""


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
        window: Seconds in which the vendor counts; 1 for a bucket.
        burst: How many requests a rested client may begin with.
        demand: How much the callers want.
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
    window: float = 1.0
    burst: int = 1
    demand: Demand = ALWAYS


@dataclass(frozen=True)
class Result:
    """What an algorithm did at one limit: goodput short of the best constant rate, rejections, and both in one."""

    gap: float
    rejected: float

    @property
    def score(self) -> float:
        """Lower is better."""
        return self.gap + WEIGHT * max(0.0, self.rejected - FREE)


Draw = Callable[[random.Random], Drawn | None]
"""Draws a limit, or nothing that is of use."""


def any_limit(source: random.Random, slowest: float = 0.3, fastest: float = 100.0) -> Drawn | None:
    """A limit of any kind.

    They allow `slowest` to `fastest` requests/s with bursts of 1 up to a second's worth, or count in windows of 1 to
    600 s, sliding or fixed, or lock out for 5 to 60 s, or allow 2 to 20 requests in flight. Latencies are 20 ms to 3 s,
    first guesses up to ten times too low or too high.
    """
    kind = source.choices(list(KINDS), list(KINDS.values()))[0]
    rate, window = _log_uniform(source, slowest, fastest), 1.0
    shortest = _log_uniform(source, 0.02, 1.5)
    latency = shortest, min(3.0, shortest * source.uniform(1.2, 4.0))
    if kind in ("token", "drift"):
        burst = 1.0 if source.random() < 0.2 else round(_log_uniform(source, 1.0, max(1.0, rate)))
        spec = f"{kind}:rate={rate:.4f},burst={burst:g}"
        if kind == "drift":
            first, second = sorted(round(source.uniform(60, 500)) for _ in range(2))
            spec += f",at={first}/{max(first + 1, second)}"
            spec += f",factor={_log_uniform(source, 0.3, 3):.3f}/{_log_uniform(source, 0.3, 3):.3f}"
    elif kind == "penalty":
        count = source.randint(2, 30)
        rate, spec = float(count), f"penalty:count={count},window=1,lockout={source.uniform(5, 60):.1f}"
    elif kind == "inflight":
        cap = source.randint(2, 20)
        rate, spec = cap / mean(latency), f"inflight:cap={cap},latency={mean(latency):.5f}"
    else:
        window = float(round(_log_uniform(source, 1.0, 600.0)))
        count = max(5, round(rate * window))
        rate, spec = count / window, f"{kind}:count={count},window={window:g}"
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
        window=window,
    )


def draw(seed: int, count: int, of: Draw = any_limit) -> list[Drawn]:
    """Draw limits.

    Args:
        seed: Decides which.
        count: How many.
        of: Draws one.
    """
    source = random.Random(seed)
    found: list[Drawn] = []
    while len(found) < count:
        one = of(source)
        if one is not None:
            found.append(one)
    return found


def _log_uniform(source: random.Random, low: float, high: float) -> float:
    return math.exp(source.uniform(math.log(low), math.log(high)))


def play(limiter: Gated, drawn: Drawn) -> Score:
    """Run an algorithm against a drawn limit.

    Returns:
        The goodput after the first minute and twenty requests, while the callers are busy; the rejections of all.
    """
    advice = {"whole": in_whole_seconds, "exact": lambda wait, _: wait, "none": lambda _wait, _now: None}[drawn.advice]
    policy = parse_policy(drawn.spec)
    log = simulate(
        limiter,
        policy,
        seconds=drawn.seconds,
        seed=drawn.seed,
        callers=drawn.callers,
        latency=drawn.latency,
        advice=advice,
        demand=drawn.demand,
    )
    busy = drawn.demand.spans(60.0 + 20.0 / drawn.limit, drawn.seconds)
    goodput = mean(score(log, policy, begin, end).goodput for begin, end in busy)
    return Score(goodput, score(log, policy, 0.0, drawn.seconds).rejected)


def frontier(drawn: Drawn) -> float:
    """The goodput of the best constant rate, % of the limit, that somebody who knew it could have chosen."""
    if drawn.kind in ("drift", "inflight"):
        return 100.0  # no constant rate is near the best
    best = 0.0
    for fraction in FRACTIONS:
        found = play(Ungated(Constant(drawn.limit * fraction)), drawn)
        if found.rejected <= TOLERATED:
            best = max(best, found.goodput)
        if best > 97.0 * fraction:
            break
    return min(100.0, best or 100.0 * FRACTIONS[-1])


def _ours(drawn: Drawn) -> Gated:
    rate = min(HIGHEST, max(LOWEST, drawn.initial_rate))
    config = ApiRateConfig("drawn", "https://vendor.test", initial_rate=rate, min_rate=LOWEST, max_rate=HIGHEST)
    return GatedCore(Core(config.with_changes({"burst": drawn.burst})))


OURS = "prefect-aimd"
ALGORITHMS: Mapping[str, Callable[[Drawn], Gated]] = {
    OURS: _ours,
    "Hybrid": lambda drawn: Hybrid(drawn.initial_rate, LOWEST, HIGHEST),
    "textbook AIMD": lambda _: Ungated(Textbook()),
}


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
    """Judge all algorithms on limits drawn with a seed, on all cores, and return the tables."""
    limits = draw(seed, count)
    found = compared([(name, limits) for name in ALGORITHMS], judge)
    rows = [["algorithm", *COLUMNS, f"behind {OURS}", "standard error"]]
    kinds = [["algorithm", *KINDS]]
    for name, results in zip(ALGORITHMS, found, strict=True):
        rows.append([name, *summary(results), *(("", "") if name == OURS else difference(results, found[0]))])
        of_kind = [[r.score for r, each in zip(results, limits, strict=True) if each.kind == kind] for kind in KINDS]
        kinds.append([name, *(f"{mean(scores):.2f}" if scores else "-" for scores in of_kind)])
    return (
        f"LIMITS DRAWN AT RANDOM ({count} of them, seed {seed}; virtual time)\n"
        f"Score: goodput short of the best constant rate, in %, plus {WEIGHT:g} for each % of rejections above "
        f"{FREE:g}.\n"
        "Hybrid: the best of three earlier algorithms, with its cap on requests in flight.\n\n"
        f"{table(rows)}\n\nTHE SCORE BY KIND OF LIMIT\n{table(kinds)}"
    )


Job = tuple[str, Sequence[Drawn]]


def compared(jobs: Sequence[Job], judged: Callable[[str, Drawn, float], Result]) -> list[list[Result]]:
    """The results of each name at its limits, on all cores.

    Args:
        jobs: Names, and limits from `draw`.
        judged: As `judge`; a function of a module, since other processes call it.
    """
    limits = list(dict.fromkeys(drawn for _, drawn_limits in jobs for drawn in drawn_limits))
    with multiprocessing.get_context("spawn").Pool() as pool:
        best = dict(zip(limits, pool.map(frontier, limits, chunksize=1), strict=True))
        runs = [(name, drawn, best[drawn]) for name, drawn_limits in jobs for drawn in drawn_limits]
        results = iter(pool.starmap(judged, runs, chunksize=1))
    return [list(itertools.islice(results, len(drawn_limits))) for _, drawn_limits in jobs]


COLUMNS = ("score", "gap", "rejected mean", "median", "p90", "worst tenth")


def summary(results: Sequence[Result]) -> list[str]:
    """The cells of a row of `COLUMNS`."""
    scores, rejected = sorted(each.score for each in results), sorted(each.rejected for each in results)
    middle, late = rejected[len(rejected) // 2], rejected[int(0.9 * len(rejected))]
    worst = scores[-max(1, len(scores) // 10) :]
    figures = (mean(scores), mean(each.gap for each in results), mean(rejected), middle, late, mean(worst))
    return [f"{figure:.2f}" for figure in figures]


def difference(results: Sequence[Result], base: Sequence[Result]) -> tuple[str, str]:
    """By how much the score is worse than others at the same limits: the mean, and its standard error."""
    each = [ours.score - theirs.score for ours, theirs in zip(results, base, strict=True)]
    return f"{mean(each):.2f}", f"{stdev(each) / math.sqrt(len(each)):.2f}" if len(each) > 1 else "-"

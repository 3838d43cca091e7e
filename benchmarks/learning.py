"""How well algorithms find hidden limits: goodput and rejections, cold and warm."""

import itertools
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.cases import CASES, Case
from benchmarks.constant import TOLERATED, best_constant
from benchmarks.core import Core
from benchmarks.score import Score, score
from benchmarks.tables import table
from benchmarks.textbook import Textbook
from benchmarks.virtual import CALLERS, Algorithm, simulate

ALGORITHMS: Mapping[str, Callable[[], Algorithm]] = {"prefect-aimd": Core, "textbook AIMD": Textbook}
"""A rival is one more entry."""

PAUSE = 3600.0
"""Seconds between the cold run and the warm one."""
FIRST = 60.0
"""Seconds in which a cold start differs most from a warm one."""
SPANS = ("cold 60 s", "cold", "warm")
WHAT = ("goodput", "rejected")


@dataclass(frozen=True)
class Result:
    """What one algorithm did at one limit with one seed."""

    first: Score
    cold: Score
    warm: Score


def measure(make: Callable[[], Algorithm], case: Case, seed: int, callers: int = CALLERS) -> Result:
    """Run cold, pause, run again with what was learned.

    Args:
        make: Makes an algorithm that knows nothing.
        case: The hidden limit.
        seed: Decides the latencies.
        callers: How many at a time.
    """
    algorithm = make()
    policy = case.policy()
    log = simulate(algorithm, policy, begin=0.0, seconds=case.seconds, seed=seed, callers=callers)
    first, cold = score(log, policy, 0.0, min(FIRST, case.seconds)), score(log, policy, 0.0, case.seconds)
    begin, policy = case.seconds + PAUSE, case.policy()
    log = simulate(algorithm, policy, begin=begin, seconds=case.seconds, seed=seed + 1_000_000, callers=callers)
    return Result(first, cold, score(log, policy, begin, begin + case.seconds))


def report(seeds: tuple[int, ...], cases: Sequence[Case] = CASES, *, callers: int = CALLERS) -> str:
    """Run everything on all cores and return the table.

    Args:
        seeds: One run each.
        cases: The hidden limits.
        callers: How many at a time.
    """
    jobs = list(itertools.product(cases, ALGORITHMS, seeds, [callers]))
    steady = [case for case in cases if case.steady]
    # Spawned, since a process that has threads (a test run) must not be forked.
    with multiprocessing.get_context("spawn").Pool() as pool:
        yardsticks = pool.starmap_async(best_constant, [(case, seeds, callers) for case in steady], chunksize=1)
        results = dict(zip(jobs, pool.starmap(_measure, jobs, chunksize=1), strict=True))
        best = dict(zip(steady, yardsticks.get(), strict=True))
    rows = [
        ["hidden limit", "best constant", "algorithm", *(f"{span} {what}" for span in SPANS for what in WHAT)],
    ]
    for case in cases:
        names = [case.name, f"{best[case]:.1f}" if case in best else "-"]
        for name in ALGORITHMS:
            found = [results[case, name, seed, callers] for seed in seeds]
            spans = [[getattr(result, span) for result in found] for span in ("first", "cold", "warm")]
            rows.append([*names, name, *(cell for scores in spans for cell in _cells(scores))])
            names = ["", ""]
    return f"{_legend(seeds, callers)}\n\n{table(rows, left=3)}"


def _measure(case: Case, name: str, seed: int, callers: int) -> Result:
    return measure(ALGORITHMS[name], case, seed, callers)


def _cells(scores: Sequence[Score]) -> tuple[str, str]:
    return _cell([each.goodput for each in scores], 1), _cell([each.rejected for each in scores], 2)


def _cell(values: Sequence[float], digits: int) -> str:
    return f"{mean(values):.{digits}f} ±{(max(values) - min(values)) / 2:.{digits}f}"


def _legend(seeds: Sequence[int], callers: int) -> str:
    return (
        "LEARNING A HIDDEN LIMIT (virtual time)\n"
        f"{callers} callers that always want more, latency 50-150 ms, Retry-After in whole seconds, 600 s "
        "(drift 900 s).\n"
        "goodput: % of the hidden limit (a little above 100 where a run uses a burst or part of a window more). "
        "rejected: % of all requests.\n"
        f"Mean of the seeds {', '.join(map(str, seeds))} ± half their range.\n"
        "cold: knows nothing, starts at 2 requests/s; 60 s: its first minute. "
        "warm: an hour later, with the state that the cold run left.\n"
        "best constant: goodput of the best rate that somebody who knew the limit could have set "
        f"(at most {TOLERATED:g} % rejected)."
    )

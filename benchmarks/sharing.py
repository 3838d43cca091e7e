"""What sharing one row is worth: eight processes that learn together, beside eight that learn alone."""

from collections.abc import Sequence
from statistics import mean

from benchmarks.cases import CASES, Case
from benchmarks.core import Core
from benchmarks.score import Score, score
from benchmarks.tables import table
from benchmarks.virtual import Log, simulate_together

PROCESSES, CALLERS = 8, 2
SHARED = ("bucket 5/s, burst 5", "bucket 20/s, burst 20", "5/s, then 30 s lockout")
"""The hidden limits of `benchmarks.cases` that are looked at."""


def measure(case: Case, seed: int, *, together: bool) -> tuple[Score, Score, float]:
    """Run from knowing nothing.

    Args:
        case: The hidden limit.
        seed: Decides the latencies.
        together: Whether all share one row, as with one database; else each process has its own.

    Returns:
        The score of all of it, that of its second half, and how alike the shares of the processes were: Jain's index,
        1 when all have the same.
    """
    rows = [Core()] * PROCESSES if together else [Core() for _ in range(PROCESSES)]
    policy, callers = case.policy(), PROCESSES * CALLERS
    logs = simulate_together(rows, policy, begin=0.0, seconds=case.seconds, seed=seed, callers=callers)
    log = Log([at for each in logs for at in each.accepted], [at for each in logs for at in each.rejected])
    shares = [len(each.accepted) for each in logs]
    whole = score(log, policy, 0.0, case.seconds)
    return whole, score(log, policy, case.seconds / 2, case.seconds), alike(shares)


def alike(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all have the same, 1/n when one has all.

    Source: Jain, Chiu and Hawe, "A quantitative measure of fairness and discrimination" (1984).

    Example:
        >>> alike([5, 5]), alike([10, 0])
        (1.0, 0.5)
    """
    return sum(shares) ** 2 / (len(shares) * max(1, sum(share**2 for share in shares)))


def report(seeds: Sequence[int]) -> str:
    """Run everything and return the table.

    Args:
        seeds: One run each.
    """
    head = ["", "", "whole run", "", "second half", "", ""]
    rows = [head, ["hidden limit", "rows", *["goodput", "rejected"] * 2, "Jain"]]
    for case in (case for case in CASES if case.name in SHARED):
        for together in (True, False):
            found = [measure(case, seed, together=together) for seed in seeds]
            cells = [
                f"{mean(getattr(result[span], name) for result in found):.{digits}f}"
                for span in (0, 1)
                for name, digits in (("goodput", 1), ("rejected", 2))
            ]
            name, kind = (case.name, "one shared") if together else ("", "one each")
            rows.append([name, kind, *cells, f"{mean(fairness for *_, fairness in found):.3f}"])
    return (
        "SHARING A HIDDEN LIMIT (virtual time)\n"
        f"{PROCESSES} processes of {CALLERS} callers that always want more, cold, 600 s. goodput: % of the limit; "
        f"rejected: % of requests.\nMean of the seeds {', '.join(map(str, seeds))}.\n\n{table(rows, left=2)}"
    )

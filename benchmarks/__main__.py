"""`python -m benchmarks`: what the limiter achieves, and what it costs."""

import argparse
from collections.abc import Callable, Sequence

from benchmarks import cost, ladder, learning, prefect_cost, random_limits, sharing, store_cost

SEEDS = (1, 2, 3)
DRAW = 20261125
AT_ONCE = ("learning", "cost")
"""What is printed when nothing is asked for; the rest takes minutes, or a Prefect server."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer rounds; for a first look")
    names = [*AT_ONCE, "random", "ladder", "sharing", "prefect"]
    parser.add_argument("--only", choices=names, help="one part (default: learning and cost; the others take minutes)")
    parser.add_argument("--seeds", type=_seeds, metavar="N,N,...", help="for the latencies (default: 1,2,3)")
    parser.add_argument("--draw", type=int, default=DRAW, metavar="N", help="seed of the limits drawn at random")
    arguments = parser.parse_args(argv)
    seeds = arguments.seeds or (SEEDS[:1] if arguments.quick else SEEDS)
    reports: dict[str, Callable[[], str]] = {
        "learning": lambda: learning.report(seeds),
        "random": lambda: random_limits.report(arguments.draw, 12 if arguments.quick else 150),
        "ladder": lambda: ladder.report(arguments.draw, 8 if arguments.quick else 100),
        "cost": lambda: cost.report(rounds=3, requests=500) if arguments.quick else cost.report(),
        "prefect": prefect_cost.report,
        "sharing": lambda: f"{sharing.report(seeds)}\n\n{store_cost.report(seconds=1.0 if arguments.quick else 3.0)}",
    }
    wanted = (arguments.only,) if arguments.only else AT_ONCE
    print(*(reports[name]() for name in wanted), sep="\n\n")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"seeds are whole numbers with commas between, not {text!r}") from None


if __name__ == "__main__":
    main()

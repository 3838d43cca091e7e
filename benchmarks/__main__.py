"""`python -m benchmarks`: what the limiter achieves, and what it costs."""

import argparse
from collections.abc import Sequence

from benchmarks import cost, learning

SEEDS = (1, 2, 3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer rounds; for a first look")
    parser.add_argument("--only", choices=["learning", "cost"], help="one of the two tables")
    parser.add_argument("--seeds", type=_seeds, metavar="N,N,...", help="for the latencies (default: 1,2,3)")
    arguments = parser.parse_args(argv)
    if arguments.only != "cost":
        print(learning.report(arguments.seeds or (SEEDS[:1] if arguments.quick else SEEDS)))
    if arguments.only is None:
        print()
    if arguments.only != "learning":
        print(cost.report(rounds=3, requests=500) if arguments.quick else cost.report())


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"seeds are whole numbers with commas between, not {text!r}") from None


if __name__ == "__main__":
    main()

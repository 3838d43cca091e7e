"""`python -m benchmarks`: what the limiter achieves, and what it costs."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    cost,
    history_cost,
    ladder,
    learning,
    picture,
    prefect_cost,
    random_limits,
    results,
    rivals,
    sharing,
    sharing_live,
    store_cost,
    sync_speed,
)

SEEDS = (1, 2, 3)
DRAW = 2026112607
AT_ONCE = ("learning", "rivals", "cost", "sync")
"""What is measured when nothing is asked for, in about ten minutes, most of them for a million records."""
ON_REQUEST = ("random", "ladder", "sharing", "live", "prefect", "picture")
"""What belongs to a question of its own, or writes a file of its own."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, fewer rounds; for a first look, not kept")
    names = [*AT_ONCE, *ON_REQUEST]
    parser.add_argument("--only", choices=names, help=f"one part (default: {', '.join(AT_ONCE)})")
    parser.add_argument("--seeds", type=_seeds, metavar="N,N,...", help="for the latencies (default: 1,2,3)")
    parser.add_argument("--callers", type=int, default=8, metavar="N", help="of learning and rivals (default: 8)")
    parser.add_argument("--draw", type=int, default=DRAW, metavar="N", help="seed of the limits drawn at random")
    parser.add_argument("--results", type=Path, metavar="FILE", help="what to bring up to date (default: RESULTS.md)")
    arguments = parser.parse_args(argv)
    quick, callers = arguments.quick, arguments.callers
    seeds = arguments.seeds or (SEEDS[:1] if quick else SEEDS)
    reports: dict[str, Callable[[], str]] = {
        "learning": lambda: learning.report(seeds, callers=callers),
        "rivals": lambda: rivals.report(seeds, callers=callers),
        "cost": lambda: cost.report(rounds=3, requests=500) if quick else cost.report(),
        "random": lambda: random_limits.report(arguments.draw, 12 if quick else 400),
        "ladder": lambda: ladder.report(arguments.draw, 8 if quick else 140),
        "sharing": lambda: "\n\n".join(
            [
                sharing.report(seeds),
                store_cost.report(seconds=1.0 if quick else 3.0),
                history_cost.report(100_000 if quick else history_cost.EVENTS),
            ]
        ),
        "live": sharing_live.report,
        "prefect": prefect_cost.report,
        "sync": lambda: sync_speed.report(quick=quick),
        "picture": lambda: picture.report(seeds[0]),
    }
    path = arguments.results or (None if quick else results.RESULTS)
    for name in (arguments.only,) if arguments.only else AT_ONCE:
        where = results.machine()
        text = reports[name]()
        print(f"{text}\n", flush=True)
        if path and name != "picture":
            results.update(path, {name: results.part(text, where=where)}, names)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"seeds are whole numbers with commas between, not {text!r}") from None


if __name__ == "__main__":
    main()

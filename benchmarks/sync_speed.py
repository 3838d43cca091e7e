"""How fast a sync collects, with all that belongs to it: Prefect, the limiter, the store, a vendor on a socket.

Prefect's server, the vendor and the sync are processes of their own. The bounds of the preset are set aside, since they
would cap the rate.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measured_sync import Cost, measured_sync
from benchmarks.prepared_vendor import SIZE, prepared_vendor, stats
from benchmarks.tables import table
from flows.prefect_server import environment, prefect_server
from simulator.server import DEFAULT_TOKEN

LIMIT = 20.0
"""Requests/s that the limited vendor allows."""
SLOW = 5.0
"""Requests/s of the sync whose processor time is measured."""
LIMITED = 1_200
"""Pages of each of three streams under it: three minutes."""
STREAMS = ("users", "pages", "data_sources")
WARM_UP = 5.0
"""Seconds that a run with a learned rate is given: the vendor's own burst of a second falls into them."""
LEARNING = 30.0
"""Seconds that a run without one is given."""


@dataclass(frozen=True)
class Used:
    """Of a limit.

    Attributes:
        seconds: How long it was used.
        percent: Of what the vendor allowed in the time, how much was used.
        rejected: Of all requests of the time, how many were refused, in percent.
    """

    seconds: float
    percent: float
    rejected: float


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        cold: A first sync under the limit: all of it, and what comes after `LEARNING`.
        warm: A second one, with the rate that the first has learned: all of it, and what comes after `WARM_UP`.
        fast: A sync of one stream without a limit, at a latency of 5 ms, of records whose ids are in no order.
        ordered: A tenth of that, of records whose ids grow.
        slow: A sync at `SLOW` requests/s.
    """

    cold: tuple[Used, Used]
    warm: tuple[Used, Used]
    fast: Cost
    ordered: Cost
    slow: Cost


def used(seen: Mapping[str, Any], begin: float, limit: float = LIMIT) -> Used:
    """What was used of a limit.

    Args:
        seen: Times of arrivals and of rejections, as `Simulator.stats` gives them.
        begin: Seconds from the first request to where counting begins; it ends with the last request.
        limit: Requests/s.
    """
    since, end = seen["arrivals"][0] + begin, seen["arrivals"][-1]
    arrivals = sum(at >= since for at in seen["arrivals"])
    rejections = sum(at >= since for at in seen["rejections"])
    seconds = end - since
    return Used(seconds, 100 * (arrivals - rejections) / (limit * seconds), 100 * rejections / arrivals)


def measure(*, limited: int, fast: int, slow: int) -> Figures:
    """Run everything.

    Args:
        limited: Pages of each of the three streams under the limit.
        fast: Pages of the sync without a limit.
        slow: Pages of the sync at `SLOW` requests/s.
    """
    with tempfile.TemporaryDirectory(prefix="aimd-bench-") as name:
        folder = Path(name)
        with prefect_server(folder / "prefect", log=folder / "server.log") as server:
            bench = _Bench(folder, f"{server.address}/api")
            with bench.vendor("limited", limited, f"token:rate={LIMIT:g},burst={LIMIT:g}", (0.05, 0.15)) as vendor:
                everywhere = {"streams": STREAMS, "full": True}
                _complete(measured_sync(vendor.environment(max_rate=50.0), **everywhere))
                cold = stats(vendor.url)
            with bench.vendor("limited", limited, f"token:rate={LIMIT:g},burst={LIMIT:g}", (0.05, 0.15)) as vendor:
                _complete(measured_sync(vendor.environment(max_rate=50.0), **everywhere))
                warm = stats(vendor.url)
            with bench.vendor("slow", slow, "none", (0.05, 0.15)) as vendor:
                crept = _complete(measured_sync(vendor.environment(SLOW, SLOW, SLOW), streams=["pages"]))
            ran = bench.at_once(fast, ordered=False)
            ordered = bench.at_once(max(2, fast // 10), ordered=True)
    return Figures(
        cold=(used(cold, 0.0), used(cold, LEARNING)),
        warm=(used(warm, 0.0), used(warm, WARM_UP)),
        fast=ran,
        ordered=ordered,
        slow=crept,
    )


@dataclass(frozen=True)
class _Vendor:
    url: str
    folder: Path
    name: str
    prefect: str

    def environment(self, initial_rate: float = 2.0, min_rate: float = 0.05, max_rate: float = 50.0) -> dict[str, str]:
        """Of a sync that may go at other rates than the preset's."""
        bounds = {"initial_rate": initial_rate, "min_rate": min_rate, "max_rate": max_rate}
        config = self.folder / "rates.json"
        config.write_text(json.dumps({"notion": bounds}))
        return {
            **environment(self.folder / "prefect"),
            "PREFECT_API_URL": self.prefect,
            "AIMD_DATABASE_URL": f"sqlite:///{self.folder / self.name}.db",
            "AIMD_CONFIG": str(config),
            "AIMD_NOTION_BASE_URL": self.url,
            "NOTION_TOKEN": DEFAULT_TOKEN,
        }


@dataclass(frozen=True)
class _Bench:
    folder: Path
    prefect: str

    @contextmanager
    def vendor(
        self, name: str, pages: int, policy: str, latency: tuple[float, float], *, ordered: bool = False
    ) -> Iterator[_Vendor]:
        """A vendor; syncs of the same name share a database."""
        with prepared_vendor(pages, policy=policy, latency=latency, ordered=ordered) as url:
            yield _Vendor(url, self.folder, name, self.prefect)

    def at_once(self, pages: int, *, ordered: bool) -> Cost:
        """A sync that nothing slows down."""
        with self.vendor(f"fast-{ordered}", pages, "none", (0.005, 0.005), ordered=ordered) as vendor:
            return _complete(measured_sync(vendor.environment(1e4, 1e4, 1e4), streams=["pages"]))


def _complete(cost: Cost) -> Cost:
    if not cost.complete:
        raise RuntimeError("the sync did not collect everything")
    return cost


def report(*, quick: bool = False) -> str:
    """Measure and return the tables.

    Args:
        quick: Four minutes instead of ten, and not the million records.
    """
    figures = measure(limited=600 if quick else LIMITED, fast=1_000 if quick else 10_000, slow=100 if quick else 300)
    limit: list[list[str]] = [["", "seconds", "used %", "rejected %"]]
    for name, (whole, later), seconds in (("cold", figures.cold, LEARNING), ("warm", figures.warm, WARM_UP)):
        for span, each in (("all of it", whole), (f"after {seconds:g} s", later)):
            limit.append([f"{name}, {span}", f"{each.seconds:.0f}", f"{each.percent:.1f}", f"{each.rejected:.2f}"])
    fast, slow = figures.fast, figures.slow
    cost = [
        ["", "records", "records/s", "ms a page", "CPU ms a page", "CPU %", "MB", "start s", "start CPU s"],
        _row("as fast as it goes", fast),
        _row("the same, ids that grow", figures.ordered),
        _row(f"{SLOW:g} requests/s", slow),
    ]
    return (
        "SPEED OF A SYNC (this machine; Prefect's server, the vendor and the sync in processes of their own)\n"
        f"Of a vendor that allows {LIMIT:g} requests/s, {len(STREAMS)} streams side by side, latency 50-150 ms. Asked: "
        "90 % and more, and 1 % or less.\n"
        "Cold knows nothing and begins at 2 requests/s; warm is a second run, with the rate that the first has "
        "learned.\n\n"
        f"{table(limit)}\n\n"
        "COST OF A SYNC\n"
        f"One stream, {SIZE} records of 1 KB a page, all of them new, ids in no order, 20 pages a Prefect task, each "
        "page on the disk before the next is asked for.\n"
        f"As fast as it goes: latency 5 ms. {SLOW:g} requests/s: 50-150 ms.\n"
        "Asked: 5,000 records/s, under 300 MB over 1,000,000 records, and under 15 % of a core at "
        f"{SLOW:g} requests/s.\n"
        "Start: up to the first page in the store.\n\n"
        f"{table(cost)}"
    )


def _row(name: str, cost: Cost) -> list[str]:
    return [
        name,
        f"{cost.records:,}",
        f"{cost.records_a_second:,.0f}",
        f"{1000 * cost.seconds / (cost.pages - 1):.1f}",
        f"{1000 * cost.cpu / cost.pages:.1f}",
        f"{100 * cost.cpu / cost.running:.1f}",
        f"{cost.megabytes:.0f}",
        f"{cost.starting:.1f}",
        f"{cost.starting_cpu:.1f}",
    ]


if __name__ == "__main__":
    print(report(quick=True))

"""What the shared row costs: alone, with many callers, with many processes, beside a sync that writes pages."""

import asyncio
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median, quantiles
from typing import TypeAlias

from benchmarks.core import CONFIG
from benchmarks.tables import table
from limiter import Limiter
from limiter.store_thread import thread_of
from state import Bucket, Store, open_store
from state.canonical import body
from state.records import Collection, Provenance

BUCKET = Bucket("benchmark")
PAGE = 100
"""Records of a page that a sync writes beside."""
Results: TypeAlias = "multiprocessing.Queue[list[float]]"
UNCONTENDED = 2_000
SECONDS = 3.0
"""Of each measurement of a rate."""
ASKED = {
    "SQLite, one caller": "p50 150, p99 1,000",
    "SQLite, a sync beside": "p99 5,000",
    "SQLite, 64 threads": "5,000/s",
    "SQLite, 64 tasks": "5,000/s",
    "SQLite, 8 processes x 1": "3,000/s, worst 250",
    "PostgreSQL, one caller": "p50 1,000",
    "PostgreSQL, 8 processes x 8": "800/s",
}
"""What the project set out to reach on two cores."""


@dataclass(frozen=True)
class Taken:
    """What one caller, or several, did.

    Attributes:
        times: Seconds that each reservation took.
        seconds: For how long they did.
    """

    times: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Reservations a second."""
        return len(self.times) / self.seconds

    def percentile(self, percent: int) -> float:
        """In microseconds."""
        return 1e6 * (median(self.times) if percent == 50 else quantiles(self.times, n=100)[percent - 1])


def _reserving(store: Store) -> Callable[[], None]:
    limiter = Limiter(replace(CONFIG, max_rate=1e6, initial_rate=1e6), BUCKET, store)

    def reserve() -> None:
        store.transact(BUCKET, limiter.reserving(waited=False, patience=3600.0))

    return reserve


def _often(reserve: Callable[[], None], times: int) -> Taken:
    took = []
    begin = time.perf_counter()
    for _ in range(times):
        before = time.perf_counter()
        reserve()
        took.append(time.perf_counter() - before)
    return Taken(took, time.perf_counter() - begin)


def _for_long(reserve: Callable[[], None], seconds: float) -> list[float]:
    took = []
    until = time.perf_counter() + seconds
    while (before := time.perf_counter()) < until:
        reserve()
        took.append(time.perf_counter() - before)
    return took


def threads(store: Store, callers: int, seconds: float) -> Taken:
    """Many blocking callers in this process."""
    reserve = _reserving(store)
    with ThreadPoolExecutor(callers) as pool:
        took = [pool.submit(_for_long, reserve, seconds) for _ in range(callers)]
        return Taken([each for some in took for each in some.result()], seconds)


def tasks(store: Store, callers: int, seconds: float) -> Taken:
    """Many awaiting callers in this process, as the asynchronous transport does it."""
    reserve, beside = _reserving(store), thread_of(store)

    async def caller() -> list[float]:
        took = []
        until = time.perf_counter() + seconds
        while (before := time.perf_counter()) < until:
            await beside.do(reserve)
            took.append(time.perf_counter() - before)
        return took

    async def all_of_them() -> list[list[float]]:
        return await asyncio.gather(*(caller() for _ in range(callers)))

    return Taken([each for some in asyncio.run(all_of_them()) for each in some], seconds)


def _process(
    url: str, callers: int, seconds: float, gate: Barrier, results: "multiprocessing.Queue[list[float]]"
) -> None:
    with open_store(url) as store:
        _reserving(store)()
        gate.wait(30)  # else one of them has failed
        results.put(threads(store, callers, seconds).times if callers > 1 else _for_long(_reserving(store), seconds))


def processes(url: str, number: int, callers: int, seconds: float) -> tuple[Taken, float]:
    """Many processes, each with so many callers; gives the fairness (slowest/fastest process), too."""
    context = multiprocessing.get_context("forkserver")  # this process has threads, and must not be forked
    context.set_forkserver_preload([__name__])
    gate, results = context.Barrier(number), context.Queue()
    running = [
        context.Process(target=_process, args=(url, callers, seconds, gate, results), daemon=True)
        for _ in range(number)
    ]
    for process in running:
        process.start()
    found = [results.get(timeout=seconds + 30) for _ in running]
    for process in running:
        process.join()
    return Taken([each for some in found for each in some], seconds), min(map(len, found)) / max(map(len, found))


@contextmanager
def sync_beside(store: Store) -> Iterator[None]:
    """A sync that writes pages of a hundred records, as fast as a vendor gives them: five a second."""
    stop = threading.Event()
    collection, where_from = Collection("benchmark", "pages"), Provenance("https://vendor.test", "-", "run")

    def write() -> None:
        cursor = store.evidence.begin_listing(collection, full=True)
        page = 0
        while not stop.wait(0.2):
            listing = cursor.listing
            assert listing is not None
            bodies = [body(f"{page}-{n}", {"text": "x" * 1000, "n": n}) for n in range(PAGE)]
            page += 1
            after = replace(listing, pages=page, page_cursor=str(page))
            _, cursor = store.evidence.commit_page(
                collection, bodies, where_from, before=listing, after=after, ends=False
            )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def report(*, seconds: float = SECONDS) -> str:
    """Measure and return the table.

    Args:
        seconds: Of each measurement of a rate.
    """
    rows: list[Sequence[str]] = [["", "requests/s", "p50 us", "p99 us", "worst ms", "fairness", "asked"]]
    for name, url in _databases():
        with open_store(url) as store:
            _often(_reserving(store), 200)
            rows.append(_row(f"{name}, one caller", _often(_reserving(store), UNCONTENDED)))
            with sync_beside(store):
                rows.append(_row(f"{name}, a sync beside", Taken(_for_long(_reserving(store), seconds), seconds)))
            rows.append(_row(f"{name}, 64 threads", threads(store, 64, seconds)))
            rows.append(_row(f"{name}, 64 tasks", tasks(store, 64, seconds)))
        for callers in (1, 8):
            taken, fairness = processes(url, 8, callers, seconds)
            rows.append(_row(f"{name}, 8 processes x {callers}", taken, f"{fairness:.2f}"))
    return (
        "COST OF SHARING (this machine)\nReservations on one row, without a pause between them.\n"
        f"fairness: slowest/fastest process. Wall time: other busy processes show.\n\n{table(rows)}"
    )


def _databases() -> Iterator[tuple[str, str]]:
    """A file, and the PostgreSQL that the tests use: a real server that is started for the purpose."""
    from tests.real_postgres import own_schema, started

    with tempfile.TemporaryDirectory() as folder:
        yield "SQLite", f"sqlite:///{Path(folder) / 'aimd.db'}"
    with started() as server, own_schema(server.url) as url:
        yield "PostgreSQL", url


def _row(name: str, taken: Taken, fairness: str = "") -> list[str]:
    return [
        name,
        f"{taken.rate:,.0f}",
        f"{taken.percentile(50):.0f}",
        f"{taken.percentile(99):.0f}",
        f"{1000 * max(taken.times):.0f}",
        fairness,
        ASKED.get(name, ""),
    ]

"""What a request costs beside the request: reserving a slot and settling the reply, in microseconds."""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median, quantiles

from benchmarks.tables import table
from limiter import ApiRateConfig, Limiter
from limiter.limiter import Granted
from limiter.replies import Kind, Reply
from state import Bucket, Store, open_store

Operation = Callable[[], None]
"""Acquire and settle once."""

ROUNDS = 7
REQUESTS = 3_000
"""Measured a round; rounds of the subjects take turns, so that a busy moment of the machine hits all of them."""
WARM_UP = 200
FINE = Reply(Kind.FINE)


class _Time:
    """Passes only when a caller waits for its slot, so that every request is a paced one, as under load."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def _limiter(url: str) -> Iterator[Operation]:
    """The decisions that a transport takes for each request, on a store."""
    clock = _Time()
    config = ApiRateConfig("benchmark", "https://vendor.test", max_rate=50.0)
    with open_store(url, clock=clock) as store:
        yield _operation(Limiter(config, Bucket("benchmark"), store), store, clock)


def _operation(limiter: Limiter, store: Store, clock: _Time) -> Operation:
    def operate() -> None:
        granted = store.transact(limiter.bucket, limiter.reserving(waited=False, patience=60.0))
        assert isinstance(granted, Granted)
        clock.now = granted.ticket.at
        store.transact(limiter.bucket, limiter.settling(granted.ticket, 200, FINE))

    return operate


@contextmanager
def _bare_dict() -> Iterator[Operation]:
    """As little as a shared limiter in memory can do: twice a lock around an update."""
    lock, row = threading.Lock(), {"next_slot": 0.0, "rate": 5.0}

    def operate() -> None:
        for _ in range(2):
            with lock:
                row["next_slot"] += 1 / row["rate"]

    yield operate


@contextmanager
def _bare_sqlite(path: Path) -> Iterator[Operation]:
    """As little as a shared limiter in SQLite can do: twice a transaction that reads a row and writes it back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE limiter (id INTEGER PRIMARY KEY, rate REAL, next_slot REAL)")
        connection.execute("INSERT INTO limiter VALUES (1, 5.0, 0.0)")

        def operate() -> None:
            for _ in range(2):
                connection.execute("BEGIN IMMEDIATE")
                rate, slot = connection.execute("SELECT rate, next_slot FROM limiter WHERE id = 1").fetchone()
                connection.execute("UPDATE limiter SET next_slot = ? WHERE id = 1", (slot + 1 / rate,))
                connection.execute("COMMIT")

        yield operate


def round_of(operate: Operation, requests: int) -> tuple[float, float]:
    """Measure and return the median and the 99th percentile, in microseconds."""
    took = []
    for _ in range(requests):
        begin = time.perf_counter_ns()
        operate()
        took.append((time.perf_counter_ns() - begin) / 1000)
    return median(took), quantiles(took, n=100)[98]


def report(*, rounds: int = ROUNDS, requests: int = REQUESTS) -> str:
    """Measure everything, one caller after the other, and return the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subjects = {
            "bare lock and dict": stack.enter_context(_bare_dict()),
            "memory store": stack.enter_context(_limiter("memory://")),
            "bare sqlite3, WAL": stack.enter_context(_bare_sqlite(folder / "bare.db")),
            "SQLite store": stack.enter_context(_limiter(f"sqlite:///{folder / 'store.db'}")),
        }
        for operate in subjects.values():
            round_of(operate, WARM_UP)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, operate in subjects.items():
                found[name].append(round_of(operate, requests))
    rows = [["", "p50 us", "p99 us", "x bare", "requests/s"]]
    bare = 0.0
    for name, measured in found.items():
        middle, slow = (median(column) for column in zip(*measured, strict=True))
        bare = middle if name.startswith("bare") else bare
        rows.append([name, f"{middle:.1f}", f"{slow:.1f}", f"{middle / bare:.1f}", f"{1e6 / middle:,.0f}"])
    return f"{_legend(rounds, requests)}\n\n{table(rows)}"


def _legend(rounds: int, requests: int) -> str:
    return (
        "COST OF A REQUEST (this machine, one caller)\n"
        "Reserve a slot and settle the reply, as the transport does: two transactions on the limiter's row, in a "
        "temporary folder.\n"
        f"Medians of {rounds} rounds of {requests:,} requests. bare: the same without a limiter.\n"
        "Wall time: other busy processes show in p99."
    )

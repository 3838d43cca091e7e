"""What a request costs beside the request: reserving a slot and settling the reply, in microseconds."""

import asyncio
import inspect
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles

import httpx

from benchmarks import peers
from benchmarks.peers import AsyncOperation, Operation
from benchmarks.tables import table
from limiter import ApiRateConfig, AsyncAimdTransport, Limiter, aimd
from limiter.bounds import Bounds
from limiter.effects import Transact
from limiter.limiter import Granted
from limiter.replies import Kind, Reply
from state import Bucket, Store, open_store

ROUNDS = 7
REQUESTS = 3_000
"""Measured a round; rounds of the subjects take turns, so that a busy moment of the machine hits all of them."""
SLOW = 30
"""What takes milliseconds is asked so many times less often."""
WARM_UP = 200
FINE = Reply(Kind.FINE)
OURS = "yes yes yes"
BUCKET = Bucket("benchmark")
CONFIG = ApiRateConfig("benchmark", "https://vendor.test", max_rate=50.0)


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
    with open_store(url, clock=clock) as store:
        yield _operation(Limiter(CONFIG, BUCKET, store), store, clock)


def _operation(limiter: Limiter, store: Store, clock: _Time) -> Operation:
    def operate() -> None:
        granted = store.transact(limiter.bucket, limiter.reserving(waited=False, patience=60.0))
        assert isinstance(granted, Granted)
        clock.now = granted.ticket.at
        store.transact(limiter.bucket, limiter.settling(granted.ticket, 200, FINE))

    return operate


@contextmanager
def _async_limiter(url: str) -> Iterator[AsyncOperation]:
    """The same, performed by the asynchronous transport: in a thread, if the store does more than compute."""
    clock = _Time()
    with open_store(url, clock=clock) as store:
        limiter = Limiter(CONFIG, BUCKET, store)
        perform = AsyncAimdTransport(httpx.MockTransport(lambda _: httpx.Response(200)), limiter)._perform

        async def operate() -> None:
            granted = await perform(Bounds(), [], Transact(BUCKET, limiter.reserving(waited=False, patience=60.0)))
            assert isinstance(granted, Granted)
            clock.now = granted.ticket.at
            await perform(Bounds(), [], Transact(BUCKET, limiter.settling(granted.ticket, 200, FINE), lasting=True))

        yield operate


@contextmanager
def _bare_dict() -> Iterator[Operation]:
    """As little as a shared limiter in memory can do: twice a lock around an update."""
    lock, row = threading.Lock(), {"next_slot": 0.0, "rate": 5.0}

    def operate() -> None:
        for _ in range(2):
            with lock:
                row["next_slot"] += 1 / row["rate"]

    yield operate


_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE limiter (id INTEGER PRIMARY KEY, rate REAL, next_slot REAL)",
    "INSERT INTO limiter VALUES (1, 5.0, 0.0)",
)
_READ = "SELECT rate, next_slot FROM limiter WHERE id = 1"


@contextmanager
def _bare_sqlite(path: Path) -> Iterator[Operation]:
    """As little as a shared limiter in SQLite can do: twice a transaction that reads a row and writes it back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in _SCHEMA:
            connection.execute(statement)

        def operate() -> None:
            for _ in range(2):
                connection.execute("BEGIN IMMEDIATE")
                rate, slot = connection.execute(_READ).fetchone()
                connection.execute("UPDATE limiter SET next_slot = ? WHERE id = 1", (slot + 1 / rate,))
                connection.execute("COMMIT")

        yield operate


@contextmanager
def _bare_sqlalchemy(path: Path) -> Iterator[Operation]:
    """The same two transactions through SQLAlchemy, on one connection that is kept."""
    from sqlalchemy import create_engine, event, text

    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in _SCHEMA:
            connection.exec_driver_sql(statement)
    engine.dispose()
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _leave_begin_to_us(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    read, write = text(_READ), text("UPDATE limiter SET next_slot = :slot WHERE id = 1")
    with engine.connect() as connection:

        def operate() -> None:
            for _ in range(2):
                with connection.begin():
                    rate, slot = connection.execute(read).one()
                    connection.execute(write, {"slot": slot + 1 / rate})

        yield operate
    engine.dispose()


@dataclass
class _Subject:
    """What is measured.

    Attributes:
        operate: Once; a coroutine function where it is asynchronous.
        does: As of `Peer`.
        bare: The subject that it is compared with.
        share: Of the requests.
        rounds: Median and 99th percentile of each, microseconds.
    """

    operate: Operation | AsyncOperation
    does: str = ""
    bare: str = ""
    share: int = 1
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The median."""
        return median(each for each, _ in self.rounds)


def round_of(
    operate: Operation | AsyncOperation, requests: int, runner: asyncio.Runner | None = None
) -> Sequence[float]:
    """Measure and return what each request took, in microseconds."""
    if inspect.iscoroutinefunction(operate):
        assert runner is not None
        return runner.run(_awaited(operate, requests))
    return [_took(operate) for _ in range(requests)]


def _took(operate: Callable[[], object]) -> float:
    begin = time.perf_counter_ns()
    operate()
    return (time.perf_counter_ns() - begin) / 1000


async def _awaited(operate: Callable[[], Awaitable[object]], requests: int) -> list[float]:
    took = []
    for _ in range(requests):
        begin = time.perf_counter_ns()
        await operate()
        took.append((time.perf_counter_ns() - begin) / 1000)
    return took


def _summary(took: Sequence[float]) -> tuple[float, float]:
    return median(took), quantiles(took, n=100)[98]


def report(*, rounds: int = ROUNDS, requests: int = REQUESTS, prefect: bool = True) -> str:
    """Measure everything, one caller after the other, and return the tables.

    Args:
        rounds: Of each subject, in turns.
        requests: Of each round.
        prefect: Whether to start a Prefect server and ask that, too.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aimd-bench-")))
        runner = stack.enter_context(asyncio.Runner())
        open_ = stack.enter_context
        file = f"sqlite:///{folder / 'store.db'}"
        subjects = {
            "bare lock and dict": _Subject(open_(_bare_dict())),
            "memory store": _Subject(open_(_limiter("memory://")), "yes - -", "bare lock and dict"),
            "memory store, async": _Subject(open_(_async_limiter("memory://")), "yes - -", "bare lock and dict"),
            "bare sqlite3": _Subject(open_(_bare_sqlite(folder / "bare.db"))),
            "bare SQLAlchemy": _Subject(open_(_bare_sqlalchemy(folder / "alchemy.db"))),
            "SQLite store": _Subject(open_(_limiter(file)), OURS, "bare SQLAlchemy"),
            "SQLite store, async": _Subject(open_(_async_limiter(f"{file[:-3]}-async.db")), OURS, "bare SQLAlchemy"),
        }
        for name, peer in peers.PEERS.items():
            subjects[name] = _Subject(open_(peer.opened(folder)), peer.does, share=SLOW if peer.slow else 1)
        for subject in subjects.values():
            round_of(subject.operate, max(2, WARM_UP // subject.share), runner)
        for _ in range(rounds):
            for subject in subjects.values():
                took = round_of(subject.operate, max(2, requests // subject.share), runner)
                subject.rounds.append(_summary(took))
        quiet = _changing_nothing(folder, max(2, requests // 3))
    if prefect:
        each = peers.prefect(rounds, max(2, requests // (4 * SLOW)))
        found = [_summary(took) for took in each]
        subjects["Prefect rate_limit, local server"] = _Subject(lambda: None, "- yes yes", rounds=found)
    rows = [["", "p50 us", "p99 us", "x bare", "requests/s", "learns", "shares", "keeps"]]
    rows += [_row(name, subject, subjects) for name, subject in subjects.items()]
    store, alchemy, bare = (subjects[name].middle for name in ("SQLite store", "bare SQLAlchemy", "bare sqlite3"))
    return (
        f"{_legend(rounds, requests)}\n\n{table(rows)}\n\n"
        f"SQLite store: {store / alchemy:.2f} times the bare transactions through SQLAlchemy (asked: at most 2), "
        f"{store / bare:.2f} times those through sqlite3.\n"
        f"{peers.versions()}\n\n{quiet}"
    )


def _row(name: str, subject: _Subject, subjects: dict[str, _Subject]) -> list[str]:
    slow = median(each for _, each in subject.rounds)
    ratio = f"{subject.middle / subjects[subject.bare].middle:.1f}" if subject.bare else ""
    does = subject.does.split() or [""] * 3
    return [name, f"{subject.middle:.1f}", f"{slow:.1f}", ratio, f"{1e6 / subject.middle:,.0f}", *does]


def _changing_nothing(folder: Path, times: int) -> str:
    """Settle successes that teach something and such that do not, and count which of them changed the database."""
    path = folder / "settled.db"
    clock = _Time()
    with open_store(f"sqlite:///{path}", clock=clock) as store, closing(sqlite3.connect(path)) as onlooker:
        rising = Limiter(replace(CONFIG, max_rate=1e6), Bucket("rising"), store)
        held = Limiter(replace(CONFIG, initial_rate=5.0, max_rate=5.0), Bucket("held"), store)

        def reserved(limiter: Limiter, *, paced: bool = True) -> aimd.Ticket:
            granted = store.transact(limiter.bucket, limiter.reserving(waited=paced, patience=60.0))
            assert isinstance(granted, Granted)
            clock.now = granted.ticket.at
            return replace(granted.ticket, paced=paced)

        def measured(name: str, limiter: Limiter, ticket: aimd.Ticket) -> list[str]:
            took, wrote = [], 0
            for _ in range(times):
                before = _version(onlooker)
                took.append(_took(lambda: store.transact(limiter.bucket, limiter.settling(ticket, 200, FINE))))
                wrote += _version(onlooker) != before
            middle, slow = _summary(took)
            return [name, f"{middle:.1f}", f"{slow:.1f}", f"{wrote:,} of {times:,}"]

        rows = [["a success", "p50 us", "p99 us", "changed the database"]]
        rows.append(measured("that raises the rate", rising, reserved(rising)))
        rows.append(measured("that was not paced", rising, reserved(rising, paced=False)))
        for _ in range(50):  # as many as it takes to know what is delivered, so that the cut lands near the ceiling
            store.transact(held.bucket, held.settling(reserved(held), 200, FINE))
        store.transact(held.bucket, held.settling(reserved(held), 429, Reply(Kind.THROTTLED, retry_after=1.0)))
        store.transact(held.bucket, held.settling(reserved(held), 200, FINE))  # the outage ends, the hold begins
        rows.append(measured("during a hold", held, reserved(held)))
    return (
        "A SUCCESS THAT CHANGES NOTHING (SQLite store)\n"
        f"Settling a reply, without the reservation. Counted from another connection.\n\n{table(rows)}"
    )


def _version(onlooker: sqlite3.Connection) -> int:
    """Another number after each commit of somebody else that changed the database."""
    [version] = onlooker.execute("PRAGMA data_version").fetchone()
    return int(version)


def _legend(rounds: int, requests: int) -> str:
    return (
        "COST OF A REQUEST (this machine, one caller)\n"
        "Ours: reserve a slot and settle the reply, as the transport does: two transactions on the limiter's row, in a "
        "temporary folder.\n"
        "async: as the asynchronous transport does, with SQLite in a thread. bare: the same without a limiter, twice a "
        "read and a write of one row\n"
        "in BEGIN IMMEDIATE, WAL, one kept connection. x bare: of the SQLite store, the bare one through SQLAlchemy.\n"
        "Others: acquire once, as their documentation says, at a limit that nobody has to wait for; botocore looks at "
        "the reply, too.\n"
        "learns: from the vendor's answers. shares: one limit for several processes, as it is used here. keeps: what "
        "it knows\n"
        "outlives the process (of Prefect, the rate that somebody set).\n"
        f"Medians of {rounds} rounds of {requests:,} requests; pyrate-limiter on SQLite a {SLOW}th of them, Prefect "
        "still fewer, after the others.\n"
        "Wall time: other busy processes show in p99."
    )

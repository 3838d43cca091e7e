"""The limiters of others, each asked for leave as its documentation says, at a limit at which nobody has to wait."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flows.prefect_server import environment, prefect_server

Operation = Callable[[], object]
AsyncOperation = Callable[[], Awaitable[object]]

PLENTY = 1_000_000_000
"""Requests a second that are allowed; none of them waits."""
PREFECT_PLENTY = 1_000_000
LIMIT = "benchmark"


@dataclass(frozen=True)
class Peer:
    """A limiter of others.

    Attributes:
        package: Whose version is told.
        does: Whether it learns from the vendor's answers, shares between processes, keeps over a restart, used so.
        opened: Gives what asks it once; the path is a folder for its files.
        slow: It takes milliseconds, so it is asked less often.
    """

    package: str
    does: str
    opened: Callable[[Path], AbstractContextManager[Operation | AsyncOperation]]
    slow: bool = False


@contextmanager
def _aiolimiter(_: Path) -> Iterator[AsyncOperation]:
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(PLENTY, 1)

    async def operate() -> None:
        async with limiter:
            pass

    yield operate


@contextmanager
def _limits(_: Path) -> Iterator[Operation]:
    from limits import RateLimitItemPerSecond
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    limiter, item = FixedWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(PLENTY)
    yield lambda: limiter.hit(item, LIMIT)


@contextmanager
def _throttled(_: Path) -> Iterator[Operation]:
    from throttled import RateLimiterType, Throttled

    throttle = Throttled(using=RateLimiterType.TOKEN_BUCKET.value, quota=f"{PLENTY}/s burst {PLENTY}")
    yield lambda: throttle.limit(LIMIT, cost=1)


@contextmanager
def _pyrate_limiter(_: Path) -> Iterator[Operation]:
    from pyrate_limiter import Duration, Limiter, Rate

    with closing(Limiter(Rate(PLENTY, Duration.SECOND))) as limiter:
        yield lambda: limiter.try_acquire(LIMIT)


@contextmanager
def _pyrate_limiter_sqlite(folder: Path) -> Iterator[Operation]:
    from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

    rates = [Rate(PLENTY, Duration.SECOND)]
    bucket = SQLiteBucket.init_from_file(rates, db_path=str(folder / "pyrate.db"), use_file_lock=True)
    with closing(Limiter(bucket)) as limiter:
        yield lambda: limiter.try_acquire(LIMIT)


class _Hours:
    """A clock for botocore on which an hour passes between two requests: there are always tokens."""

    def __init__(self) -> None:
        self.now = 0.0

    def current_time(self) -> float:
        return self.now


@contextmanager
def _botocore(_: Path) -> Iterator[Operation]:
    """As `botocore.retries.adaptive.register_retry_handler` puts it together, after a first refusal enabled it."""
    from botocore.awsrequest import AWSResponse
    from botocore.retries import adaptive, bucket, standard, throttling

    clock = _Hours()
    limiter = adaptive.ClientRateLimiter(
        rate_adjustor=throttling.CubicCalculator(starting_max_rate=0, start_time=clock.now),
        rate_clocker=adaptive.RateClocker(clock),
        token_bucket=bucket.TokenBucket(max_rate=1, clock=clock),
        throttling_detector=standard.ThrottlingErrorDetector(retry_event_adapter=standard.RetryEventAdapter()),
        clock=clock,
    )

    def answered(status: int, parsed: Mapping[str, Any]) -> None:
        response = AWSResponse("https://vendor.test", status, {}, None), parsed
        limiter.on_receiving_response(
            response=response, attempts=1, caught_exception=None, operation=None, request_dict={"context": {}}
        )

    def operate() -> None:
        clock.now += 3600.0
        limiter.on_sending_request(None)
        answered(200, {})

    answered(400, {"Error": {"Code": "ThrottlingException"}})
    yield operate


PEERS: Mapping[str, Peer] = {
    "aiolimiter, async": Peer("aiolimiter", "- - -", _aiolimiter),
    "limits, fixed window in memory": Peer("limits", "- - -", _limits),
    "throttled-py, token bucket in memory": Peer("throttled-py", "- - -", _throttled),
    "pyrate-limiter in memory": Peer("pyrate-limiter", "- - -", _pyrate_limiter),
    "pyrate-limiter, SQLite with a file lock": Peer("pyrate-limiter", "- yes yes", _pyrate_limiter_sqlite, slow=True),
    "botocore adaptive": Peer("botocore", "yes - -", _botocore),
}


def versions() -> str:
    """Of all of them, in one line."""
    packages = [*(peer.package for peer in PEERS.values()), "prefect"]
    return ", ".join(f"{name} {version(name)}" for name in sorted(set(packages)))


def prefect(rounds: int, requests: int) -> list[list[float]]:
    """Ask Prefect's `rate_limit` in a process of its own, of a server of its own.

    Returns:
        Microseconds that each took, by round.
    """
    with tempfile.TemporaryDirectory(prefix="aimd-bench-") as name:
        folder = Path(name)
        with prefect_server(folder / "prefect", log=folder / "server.log") as server:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.peers", str(rounds), str(requests)],
                env={**environment(folder / "client"), "PREFECT_API_URL": f"{server.address}/api"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
    took: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return took


def _ask_prefect(rounds: int, requests: int) -> list[list[float]]:
    from prefect import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.concurrency.sync import rate_limit

    limit = GlobalConcurrencyLimitCreate(name=LIMIT, limit=PREFECT_PLENTY, slot_decay_per_second=PREFECT_PLENTY)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(limit)
    return [_timed(lambda: rate_limit(LIMIT, strict=True), requests) for _ in range(1 + rounds)][1:]


def _timed(operate: Operation, requests: int) -> list[float]:
    took = []
    for _ in range(requests):
        begin = time.perf_counter_ns()
        operate()
        took.append((time.perf_counter_ns() - begin) / 1000)
    return took


if __name__ == "__main__":
    print(json.dumps(_ask_prefect(*map(int, sys.argv[1:]))))

"""Processes on one database and one quota, in real time against a vendor on a socket."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator import Simulator
from state import Bucket, Decision, LimiterState, open_store

WORKER = Path(__file__).with_name("sharing_worker.py")
NOTION = Bucket("notion")
PROCESSES, CALLERS = 4, 2
RATE = 10.0
REQUESTS = 32
UNDER_WAY = 0.5
"""Seconds that a request may take from being let go to being sent, on a machine with much to do."""


class Worker:
    def __init__(self, database: str, base_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), database, base_url, str(CALLERS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=WORKER.parents[2],
        )

    def ready(self) -> None:
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        output, _ = self._process.communicate(timeout=60)
        return json.loads(output)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def working(database: str, base_url: str) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        workers = [Worker(database, base_url) for _ in range(PROCESSES)]
        for worker in workers:
            stack.callback(worker.kill)
        for worker in workers:
            worker.ready()
        for worker in workers:
            worker.go()
        yield workers


def ended(workers: list[Worker]) -> list[dict[str, Any]]:
    """What they did; all of them end at the same moment."""
    for worker in workers:
        worker.stop()
    return [worker.end() for worker in workers]


def shares(done: list[dict[str, Any]]) -> list[int]:
    """What each sent while all of them worked."""
    begin, end = max(each["sent"][0] for each in done), min(each["sent"][-1] for each in done)
    return [sum(begin <= moment <= end for moment in each["sent"]) for each in done]


def jain(shares: list[int]) -> float:
    """1 if all have the same, 1/n if one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def know(database: str, state: LimiterState) -> None:
    with open_store(database) as store:
        store.transact(NOTION, lambda _found, now: Decision(replace(state, updated_at=now, since=now), None))


def wait_for(simulator: Simulator, count: str, number: int) -> None:
    until = time.monotonic() + 60
    while simulator.stats()[count] < number:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def vendor() -> Iterator[Simulator]:
    with Simulator(f"token:rate={RATE},burst=5", latency=(0.02, 0.05)) as simulator:
        yield simulator


def test_processes_share_one_quota_alike_and_never_ask_faster_than_one_would(database: str, vendor: Simulator) -> None:
    """That they use it up is shown in virtual time (tests/benchmarks): here it depends on the machine, too."""
    know(database, LimiterState(rate=0.9 * RATE, ceiling=RATE))
    with working(database, vendor.base_url) as workers:
        wait_for(vendor, "requests", REQUESTS)
        done = ended(workers)
    stats = vendor.stats()
    assert sum(each["fine"] for each in done) == stats["accepted"]
    assert jain(shares(done)) >= 0.95
    assert stats["rejected"] <= 0.03 * stats["requests"]
    sent = sorted(moment for each in done for moment in each["sent"])
    assert len(sent) <= RATE * (sent[-1] - sent[0]) + 5


def test_a_cooldown_that_one_process_meets_is_kept_by_all_of_them(database: str, vendor: Simulator) -> None:
    """By one that begins meanwhile, too, and whether or not the one that met it lives on."""
    know(database, LimiterState(rate=0.9 * RATE, ceiling=RATE))
    with working(database, vendor.base_url) as workers, ExitStack() as stack:
        wait_for(vendor, "accepted", 8)
        vendor.set_policy("penalty:count=1,window=1,lockout=3")
        wait_for(vendor, "rejected", 1)
        vendor.set_policy("none")
        with open_store(database) as store:
            while not (met := [event for event in store.history(NOTION) if event.retry_after]):
                time.sleep(0.001)
        killed = workers.pop()
        killed.kill()
        fresh = Worker(database, vendor.base_url)
        stack.callback(fresh.kill)
        fresh.ready()
        fresh.go()
        wait_for(vendor, "accepted", vendor.stats()["accepted"] + 14)
        done = ended([*workers, fresh])
    with open_store(database) as store:
        met = [event for event in store.history(NOTION) if event.retry_after]
    sent = sorted(moment for each in done for moment in each["sent"])
    assert all(each["fine"] >= 2 for each in done)
    for event in met:
        assert event.cooldown_until > event.at + 2 * UNDER_WAY
        assert [moment for moment in sent if event.at + UNDER_WAY < moment < event.cooldown_until - 0.05] == []
    assert sent[-1] > max(event.cooldown_until for event in met)

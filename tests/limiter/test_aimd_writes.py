"""What a reply writes: nothing, where it teaches nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from limiter import ApiRateConfig, Limiter
from limiter.limiter import Granted
from limiter.replies import Kind, Reply
from limiter.testing import FakeClock
from state import Bucket, open_store

CONFIG = ApiRateConfig("acme", "https://api.acme.test", initial_rate=2.0, min_rate=0.1, max_rate=10.0)
FINE = Reply(Kind.FINE)


@pytest.mark.parametrize("what", ["it had not waited", "the rate is held", "the rate may not grow", "a step up"])
def test_a_success_that_teaches_nothing_touches_no_disk(what: str, tmp_path: Path, clock: FakeClock) -> None:
    file = tmp_path / "aimd.db"
    config = replace(CONFIG, max_rate=2.0) if what == "the rate may not grow" else CONFIG
    with open_store(f"sqlite:///{file}", clock=clock) as store, closing(sqlite3.connect(file)) as beside:
        limiter = Limiter(config, Bucket("acme"), store)

        def reserve() -> Granted:
            return store.transact(limiter.bucket, limiter.reserving(waited=what != "it had not waited", patience=60.0))

        def disk() -> tuple[int, int]:
            return beside.execute("PRAGMA data_version").fetchone()[0], Path(f"{file}-wal").stat().st_size

        def settle(granted: Granted, status: int, reply: Reply) -> None:
            store.transact(limiter.bucket, limiter.settling(granted.ticket, status, reply))

        if what == "the rate is held":
            for _ in range(20):  # enough delivered for a cut that is no deeper than it has to be
                granted = reserve()
                clock.now += 0.5
            settle(granted, 429, Reply(Kind.THROTTLED, 1.0))
            clock.now += 1.0
            settle(reserve(), 200, FINE)
        granted, before, rate = reserve(), disk(), limiter.snapshot()["current_rate"]
        clock.now += 0.5
        for _ in range(3):
            settle(granted, 200, FINE)
        taught = what == "a step up"
        assert (disk() != before) is taught
        assert (limiter.snapshot()["current_rate"] != rate) is taught

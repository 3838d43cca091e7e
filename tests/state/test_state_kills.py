"""Two hundred processes that share a file are killed at any moment."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from state import Bucket, open_store
from state.records import Collection

ROUNDS, EACH = 25, 8


def test_processes_killed_at_any_moment_lose_nothing_they_had_acknowledged(path: Path, url: str, start) -> None:
    """Two hundred: of each eight, four share a bucket and four store pages, all of them in the same moments."""
    dice = random.Random(11)
    pages: dict[str, int] = {}
    acknowledged = 0
    open_store(url).close()
    for round_ in range(1, ROUNDS + 1):
        tenants = [f"{round_}-{n}" for n in range(EACH // 2)]
        counting = [start("count", url, "shared", 1_000_000) for _ in range(EACH // 2)]
        collecting = [start("collect", url, tenant, 1_000_000) for tenant in tenants]
        for worker in counting + collecting:
            worker.go()
        for worker in dice.sample(counting + collecting, EACH):
            for _ in range(dice.randrange(6)):
                worker.hear()
            worker.kill()
        acknowledged = max([acknowledged, *(number for worker in counting for number in worker.told)])
        pages |= {tenant: len(worker.told) for tenant, worker in zip(tenants, collecting, strict=True)}
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = connection.execute("SELECT json_extract(learner, '$.delivered') FROM limiter").fetchone()
            reached = found[0] if found else 0
            # Each of the killed may have committed one more than it came to tell.
            assert acknowledged <= reached <= acknowledged + EACH // 2 * round_
    with open_store(url) as store:
        assert store.read(Bucket("shared"))[0].delivered == store.history_length(Bucket("shared")) == reached
        for tenant, told in pages.items():
            listing = store.evidence.cursor(Collection("notion", "users", tenant)).listing
            stored = listing.pages if listing else 0
            assert told <= stored <= told + 1
            found = [version.external_id for version in store.evidence.versions(tenant=tenant)]
            assert found == [f"{page}-{n}" for page in range(stored) for n in range(10)]

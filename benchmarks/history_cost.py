"""What a long history costs: a million events of eight buckets, the newest of one of them, and letting old ones go."""

import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.tables import table
from state import Bucket, Decision, HistoryEvent, LimiterState
from state.retention import Retention
from state.sql import SqlStore

EVENTS, BUCKETS, AT_ONCE = 1_000_000, 8, 25_000
INCREASE = HistoryEvent(1_795_600_000.0, "increase", 4.0, 4.1, 4.3, None, None, 0.0, str(uuid.UUID(int=2**127)))
"""As most are; a sync's, with its flow run."""


def report(events: int = EVENTS) -> str:
    """Write that many and measure; half a minute.

    Args:
        events: How many.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aimd.db"
        with closing(SqlStore(f"sqlite:///{path}", retention=Retention(rows=events))) as store:
            for n in range(0, events, AT_ONCE):
                _tell(store, Bucket("benchmark", quota_key=str(n // AT_ONCE % BUCKETS)), AT_ONCE)
        with closing(SqlStore(f"sqlite:///{path}")) as store:
            size = path.stat().st_size / 1e6
            bucket = Bucket("benchmark", quota_key="0")
            newest = median(_milliseconds(store, bucket) for _ in range(20))
            count = store.history_length(bucket)
            begin = time.perf_counter()
            gone = store.prune(rows=count // 2)
            pruned = time.perf_counter() - begin
    rows = [
        ["", "measured", "asked"],
        ["MB", f"{size:.0f}", "100"],
        ["the newest 500 of a bucket, ms", f"{newest:.1f}", "10"],
        [f"aimd db prune of {gone:,} of them, s", f"{pruned:.1f}", ""],
    ]
    return f"A LONG HISTORY (this machine)\n{events:,} events of {BUCKETS} buckets on SQLite.\n\n{table(rows)}"


def _tell(store: SqlStore, bucket: Bucket, number: int) -> None:
    events = tuple(replace(INCREASE, at=INCREASE.at + n) for n in range(number))
    store.transact(
        bucket, lambda before, now: Decision(replace(before or LimiterState(1.0), updated_at=now), 0, events)
    )


def _milliseconds(store: SqlStore, bucket: Bucket) -> float:
    begin = time.perf_counter()
    found = store.history(bucket, 500)
    took = 1000 * (time.perf_counter() - begin)
    assert len(found) == 500
    return took

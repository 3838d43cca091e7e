"""The live comparison: real processes, whose replies are those that the vendor gave."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.live_caller import Calling
from benchmarks.sharing_live import PROCESSES, measure
from simulator import Simulator


def test_processes_that_share_a_row_tell_when_which_reply_came(tmp_path: Path) -> None:
    with Simulator("token:rate=5,burst=2", latency=(0.0, 0.01)) as vendor:
        calling = Calling(vendor.base_url, callers=1, seconds=3.0, database=f"sqlite:///{tmp_path / 'aimd.db'}")
        logs, begin = measure(calling, dict(os.environ))
        stats = vendor.stats()
    assert len(logs) == PROCESSES
    assert all(at >= begin for log in logs for at in (*log.accepted, *log.rejected))
    heard = sum(len(log.accepted) + len(log.rejected) for log in logs)
    assert stats["requests"] - PROCESSES <= heard <= stats["requests"]
    assert sum(len(log.accepted) for log in logs) > 0

"""A sync that is told to stop while everyone waits for the vendor."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from simulator import Simulator
from tests.end_to_end.waiting import cooldown, wait_until

pytestmark = pytest.mark.server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sync_in_a_long_cooldown_stops_at_once_and_says_so(aimd, vendor: Simulator, tmp_path: Path, number):
    database = tmp_path / "aimd.db"
    vendor.set_policy("penalty:count=1,window=60,lockout=3000")
    process = aimd.start("sync", "notion", "--json")
    wait_until(lambda: cooldown(database) > time.time() + 60, process)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)  # the cooldown has fifty minutes left
    assert process.returncode == 130
    assert "what was collected is kept" in errors
    assert "Traceback" not in errors
    assert output.startswith('{"error": "Stopped')
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT state FROM sync_run").fetchall() == [("incomplete",)]

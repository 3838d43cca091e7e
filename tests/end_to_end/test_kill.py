"""A sync that is killed at ten moments, some of them in a cooldown, and then finishes."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from simulator import Simulator, World
from state import open_store
from state.records import Collection
from tests.end_to_end.waiting import asked_in_a_hold, cooldown, wait_until

pytestmark = pytest.mark.server

KILLS = 10
IN_COOLDOWN = (2, 5, 8)
"""Kills that come while the vendor has asked for silence."""


@pytest.fixture
def world() -> World:
    """More pages than ten runs come to before they are killed."""
    return World(seed=3, users=150, pages=3000, data_sources=2, rows=120)


def test_a_sync_that_is_killed_again_and_again_loses_and_doubles_nothing(
    aimd, vendor: Simulator, world: World, tmp_path: Path
):
    database = tmp_path / "aimd.db"
    brisk = tmp_path / "brisk.toml"  # whatever is learned here, the test shall not wait for it
    brisk.write_text("[notion]\ninitial_rate = 5.0\nmin_rate = 5.0\n")
    command = ("sync", "notion", "--json", "--pages-per-task", "2")
    cooldowns = 0
    reached: list[int] = []
    for kill in range(KILLS):
        # Slow enough to be caught at work: the bucket holds one token, so somebody is always in flight or waiting.
        vendor.set_policy("token:rate=5,burst=3")
        process = aimd.start(*command, AIMD_CONFIG=str(brisk))
        if kill in IN_COOLDOWN:
            before = vendor.stats()["accepted"]
            wait_until(lambda: vendor.stats()["accepted"] > before, process)  # noqa: B023
            vendor.set_policy("penalty:count=1,window=5,lockout=6")
            wait_until(lambda: cooldown(database) > time.time() + 3, process)
            cooldowns += 1
        else:
            last = reached[-1] if reached else 0
            wait_until(lambda: pages_listed(database) > last, process)  # noqa: B023
            accepted, more = vendor.stats()["accepted"], kill % 3
            wait_until(lambda: vendor.stats()["accepted"] >= accepted + more, process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate()
        reached.append(pages_listed(database))
    vendor.set_policy("none")

    code, report, errors = aimd.run(*command, AIMD_CONFIG=str(brisk))

    assert (code, report["state"]) == (0, "complete"), errors
    assert cooldowns == len(IN_COOLDOWN)
    assert reached == sorted(reached), "a run began anew instead of going on"
    assert reached[-1] >= KILLS - len(IN_COOLDOWN)
    assert asked_in_a_hold(vendor, database) == [], "a request came before a persisted cooldown had ended"
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT stream, external_id, version FROM evidence").fetchall()
    assert {version for *_, version in rows} == {1}, "nothing changed, so nothing has a second version"
    stored = Counter((stream, key) for stream, key, _ in rows)
    assert max(stored.values()) == 1
    assert {key for stream, key in stored if stream == "users"} == set(world.ids("user"))
    assert {key for stream, key in stored if stream == "data_sources"} == set(world.ids("data_source"))
    assert {key for stream, key in stored if stream == "pages"} == {*world.ids("page"), *world.ids("row")}


def pages_listed(database: Path) -> int:
    """How far the listing of pages has come."""
    if not database.exists():
        return 0
    with open_store(f"sqlite:///{database}") as store:
        listing = store.evidence.cursor(Collection("notion", "pages")).listing
    return listing.pages if listing else 0

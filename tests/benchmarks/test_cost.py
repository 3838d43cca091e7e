"""The table of costs measures what it says it does. How long anything took is nobody's business here."""

import math
from pathlib import Path

import pytest

from benchmarks import cost, peers
from benchmarks.tables import cells_of
from state import Bucket, open_store


@pytest.fixture(scope="module")
def report():
    return cost.report(rounds=1, requests=40, prefect=False)


def tables(text):
    return [rows for block in text.split("\n\n") if (rows := cells_of(block.splitlines()))]


def test_ours_stands_beside_what_is_bare_and_what_others_made(report):
    head, *rows = tables(report)[0]
    assert head == ["", "p50 us", "p99 us", "x bare", "requests/s", "learns", "shares", "keeps"]
    assert [row[0] for row in rows] == [
        "bare lock and dict",
        "memory store",
        "memory store, async",
        "bare sqlite3",
        "bare SQLAlchemy",
        "SQLite store",
        "SQLite store, async",
        *peers.PEERS,
    ]
    for _, p50, p99, ratio, each_second, *_ in rows:
        assert 0 < float(p50) <= float(p99) < math.inf
        assert float(each_second.replace(",", "")) == pytest.approx(1e6 / float(p50), rel=0.1)
        assert not ratio or float(ratio) > 0


def test_only_ours_learns_shares_and_keeps(report):
    does = {name: tuple(cells) for name, _, _, _, _, *cells in tables(report)[0][1:]}
    assert [name for name, cells in does.items() if cells == ("yes",) * 3] == ["SQLite store", "SQLite store, async"]


def test_it_says_what_the_store_costs_beside_the_bare_transactions_and_which_versions_it_met(report):
    assert "times the bare transactions through SQLAlchemy (asked: at most 2)" in report
    for package in ("aiolimiter", "botocore", "limits", "prefect", "pyrate-limiter", "throttled-py"):
        assert f"{package} " in report


def test_a_success_that_changes_nothing_writes_nothing(report):
    _, *rows = tables(report)[1]
    assert [(row[0], row[-1]) for row in rows] == [
        ("that raises the rate", "13 of 13"),
        ("that was not paced", "0 of 13"),
        ("during a hold", "0 of 13"),
    ]


@pytest.mark.parametrize("make", [cost._limiter, cost._async_limiter])
def test_the_cost_is_that_of_a_limiter_that_works(make, tmp_path):
    """Each operation waits for its slot and teaches."""
    import asyncio

    url = f"sqlite:///{tmp_path / 'cost.db'}"
    with make(url) as operate, asyncio.Runner() as runner:
        assert len(cost.round_of(operate, 25, runner)) == 25
    with open_store(url) as store:
        state, _ = store.read(Bucket("benchmark"))
    assert state.delivered == 25
    assert state.rate > 1.0
    assert state.updated_at > 1_800_000_010, "each of them waited for its slot"


@pytest.mark.parametrize("make", [cost._bare_sqlite, cost._bare_sqlalchemy])
def test_the_bare_transactions_write(make, tmp_path):
    import sqlite3
    from contextlib import closing

    path = Path(tmp_path / "bare.db")
    with make(path) as operate:
        for _ in range(5):
            operate()
    with closing(sqlite3.connect(path)) as onlooker:
        assert onlooker.execute("SELECT next_slot FROM limiter").fetchone() == (pytest.approx(2.0),)  # 10 slots at 5/s
        assert onlooker.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.server
def test_prefect_is_asked_on_a_server_of_its_own():
    rounds = peers.prefect(2, 3)
    assert [len(took) for took in rounds] == [3, 3]
    assert min(map(min, rounds)) > 100, "microseconds: it has asked a server"

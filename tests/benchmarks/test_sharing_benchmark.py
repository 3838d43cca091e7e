"""The benchmark of sharing: its figures are what the product promises, in virtual time."""

import pytest

from benchmarks import history_cost, store_cost
from benchmarks.cases import CASES
from benchmarks.sharing import SHARED, measure

LIMITS = {case.name: case for case in CASES if case.name in SHARED}


@pytest.mark.parametrize("name", SHARED[:2])
def test_processes_that_share_a_row_use_the_quota_and_meet_next_to_no_rejection(name):
    whole, settled, alike = measure(LIMITS[name], 1, together=True)
    assert (whole.goodput >= 96.5, settled.goodput >= 98) == (True, True)
    assert settled.rejected <= 1
    assert alike >= 0.95


def test_sharing_is_what_saves_them_from_a_vendor_that_punishes():
    case = LIMITS[SHARED[2]]
    together, _, alike = measure(case, 1, together=True)
    alone, _, _ = measure(case, 1, together=False)
    assert (together.goodput >= 80, together.rejected <= 1, alike >= 0.95) == (True, True, True)
    assert (alone.goodput < 20, alone.rejected > 40) == (True, True)


def test_the_table_of_costs_has_a_line_for_every_way_to_share():
    lines = store_cost.report(seconds=0.05).splitlines()
    ways = ["one caller", "a sync beside", "64 threads", "64 tasks", "8 processes x 1", "8 processes x 8"]
    assert [line.split("  ")[0] for line in lines[5:]] == [
        f"{database}, {way}" for database in ("SQLite", "PostgreSQL") for way in ways
    ]
    assert {line.split("  ")[0] for line in lines if line.endswith(tuple(store_cost.ASKED.values()))} == set(
        store_cost.ASKED
    )


def test_a_long_history_is_small():
    """Its times are the machine's; what it takes is not."""
    [size] = [line for line in history_cost.report(100_000).splitlines() if line.startswith("MB")]
    assert 5 <= float(size.split()[1]) <= 10

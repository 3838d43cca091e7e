"""The limiters of others are driven as they are, and the table says where ours stands."""

from dataclasses import replace

import pytest

from benchmarks.cases import CASES
from benchmarks.constant import Constant
from benchmarks.core import Core
from benchmarks.flying import Demand, GatedCore, Ungated, simulate
from benchmarks.rivals import FAST, IN_FLIGHT, RIVALS, Botocore, DynamicApiRateLimiter, measure, report
from benchmarks.tables import cells_of
from simulator import InFlight, parse_policy

BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("rival", ["textbook AIMD", "dynamic-api-rate-limiter", "botocore adaptive"])
def test_who_has_to_learn_is_refused_more_often_than_we_are(rival, case):
    assert measure("prefect-aimd", case, 1)[1] < measure(rival, case, 1)[1] / 2


@pytest.mark.parametrize(
    ("rival", "limit", "goodput", "rejected"),
    [  # as measured elsewhere, with another simulator
        ("botocore adaptive", "bucket 5/s, burst 5", 100, 8.6),
        ("botocore adaptive", "5/s, then 30 s lockout", 5, 69),
        ("dynamic-api-rate-limiter", "bucket 5/s, burst 5", 97, 2.8),
        ("dynamic-api-rate-limiter", "bucket 5/s, burst 1", 38, 6.5),
        ("dynamic-api-rate-limiter", "sliding 50 per 10 s", 84, 3.2),
        ("Prefect, 80 % of it", "5/s, then 30 s lockout", 80, 0),
    ],
)
def test_rivals_do_what_they_are_known_to_do(rival, limit, goodput, rejected):
    assert measure(rival, BY_NAME[limit], 1)[:2] == pytest.approx((goodput, rejected), rel=0.05, abs=0.5)


def test_botocore_paces_only_after_a_refusal():
    botocore = Botocore()
    assert [botocore.reserve(0.0, waited=False).generation for _ in range(100)] == [0] * 100
    assert 0.0 <= botocore.throttled(0.1, botocore.reserve(0.0, waited=False), 1.0) < 1.1
    grants = [botocore.reserve(0.1 + n / 1000, waited=False).generation for n in range(100)]
    assert grants.count(0) <= 1


def test_the_model_of_the_dynamic_limiter_grows_with_each_success_and_stops_for_a_refusal():
    model = DynamicApiRateLimiter()
    assert [model.reserve(0.0, waited=False).generation for _ in range(5)] == [0, 0, 0, 0, None]  # 2 x 2 requests/s
    for _ in range(10):
        model.succeeded(0.0, model.reserve(0.0, waited=False))
    assert [model.reserve(100.0, waited=False).generation for _ in range(7)] == [0] * 6 + [None]
    model.throttled(100.0, model.reserve(100.0, waited=False), 7.0)
    assert model.reserve(101.0, waited=False).at == 107.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_cap_on_requests_in_flight_is_found_and_used(seed):
    """Without it the same core is cut at each refusal, and reaches next to nothing."""
    gated = GatedCore(Core(FAST))
    log = simulate(gated, IN_FLIGHT.policy(), seconds=600.0, seed=seed)
    without = simulate(Ungated(Core(FAST)), IN_FLIGHT.policy(), seconds=600.0, seed=seed)
    assert gated.limit == 4
    assert sum(at > 300 for at in log.accepted) >= 0.95 * 300 * 40
    assert len(log.rejected) < len(without.rejected)
    assert len(log.accepted) > 1.2 * len(without.accepted)


class Counting(InFlight):
    """Has room for everybody, and counts."""

    most = now = 0

    def admit(self, at, /):
        self.now += 1
        self.most = max(self.most, self.now)
        return super().admit(at)

    def release(self, at, /):
        self.now -= 1
        super().release(at)


def test_nobody_is_in_flight_beyond_the_limit():
    narrow, counting = Ungated(Core(FAST)), Counting(1000)
    narrow.limit = 3
    log = simulate(narrow, counting, seconds=120.0, seed=1)
    assert (counting.most, log.rejected) == (3, [])
    assert len(log.accepted) > 120 * 20


def test_callers_that_rest_want_little_in_between():
    demand = Demand(busy=20.0, quiet=40.0, pause=8.0)
    log = simulate(Ungated(Constant(5.0)), parse_policy("none"), seconds=180.0, seed=1, demand=demand)
    rests = [at for at in log.accepted if at % 60.0 > 25.0]
    busy = [at for at in log.accepted if at % 60.0 < 20.0]
    assert len(rests) == 3 * 8 * 4, "each caller once in 8 s"
    assert len(busy) == pytest.approx(3 * 20 * 5, rel=0.05)
    assert demand.spans(61.0, 299.0) == [(120.0, 140.0), (180.0, 200.0)]


def test_the_table_has_a_row_for_each_limit_and_a_column_for_each_rival():
    cases = [replace(case, seconds=20.0) for case in CASES[:2]]
    blocks = report((1,), [*cases, IN_FLIGHT], callers=4).split("\n\n")
    head, *rows = cells_of(blocks[1].splitlines())
    assert head == ["hidden limit", *RIVALS, "best constant"]
    assert [row[0] for row in rows] == [*(case.name for case in cases), IN_FLIGHT.name]
    for row in rows:
        assert all(float(part) >= 0 for cell in row[1:-1] for part in cell.split("/"))
    assert blocks[2].startswith("4 in flight, second half of the run: prefect-aimd ")

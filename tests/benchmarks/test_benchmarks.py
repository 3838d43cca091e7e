"""The benchmark measures what it says, and what it says of the core is so."""

import re
from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks.cases import CASES, Case
from benchmarks.constant import Constant, best_constant
from benchmarks.core import Core
from benchmarks.learning import ALGORITHMS, measure, report
from benchmarks.score import Score, score
from benchmarks.tables import table
from benchmarks.textbook import Textbook
from benchmarks.virtual import Log, simulate
from limiter.aimd import Ticket
from simulator import parse_policy

BUCKET = Case("bucket", "token:rate=5,burst=5", seconds=300.0)
STRICT = Case("strict bucket", "token:rate=5,burst=1", seconds=300.0)


@pytest.mark.parametrize("make", ALGORITHMS.values())
def test_a_run_depends_on_its_seed_alone(make):
    case = Case("bucket", "token:rate=5,burst=5", seconds=60.0)
    assert measure(make, case, 1) == measure(make, case, 1)

    def log(seed):
        return simulate(make(), case.policy(), begin=0.0, seconds=60.0, seed=seed)

    assert log(1) == log(1)
    assert log(1).accepted != log(2).accepted


@pytest.mark.parametrize("case", [BUCKET, STRICT], ids=lambda case: case.name)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_core_beats_the_textbook_on_goodput_and_on_rejections(case, seed):
    core, textbook = measure(Core, case, seed), measure(Textbook, case, seed)
    for span in ("cold", "warm"):
        ours, theirs = getattr(core, span), getattr(textbook, span)
        assert ours.goodput > theirs.goodput + 3
        assert ours.rejected < theirs.rejected / 2


def test_what_was_learned_is_worth_something():
    """A warm run begins where the cold one ended, and not at the bottom."""
    result = measure(Core, BUCKET, 1)
    assert result.warm.goodput > result.first.goodput + 3
    assert result.warm.rejected < 1


def test_nobody_delivers_more_than_the_limit_allows():
    for case in CASES:
        result = measure(Core, replace(case, seconds=60.0), 1)
        for each in (result.first, result.cold, result.warm):
            assert 0 < each.goodput < 117  # 7 fixed windows lie in 60 s, two of them in part
            assert 0 <= each.rejected < 5


def test_the_best_constant_rate_of_a_bucket_is_its_rate_and_of_a_strict_one_less():
    assert best_constant(BUCKET, (1, 2)) == pytest.approx(100, abs=0.5)
    assert 70 <= best_constant(STRICT, (1, 2)) <= 85


def test_a_constant_rate_is_kept_and_a_refusal_holds_everyone():
    constant = Constant(2.0)
    tickets = [constant.reserve(10.0, waited=False) for _ in range(3)]
    assert [ticket.at for ticket in tickets] == [10.0, 10.5, 11.0]
    constant.throttled(10.2, tickets[0], 5.0)
    assert all(constant.is_void(ticket) for ticket in tickets)
    assert constant.reserve(10.2, waited=True) == Ticket(15.2, 1, paced=True)


def test_the_textbook_halves_once_an_event_and_steps_up_with_each_success():
    textbook = Textbook()
    sent = [textbook.reserve(100.0, waited=False) for _ in range(3)]
    assert [ticket.at for ticket in sent] == [100.0, 100.5, 101.0]  # 2 requests/s
    for ticket in sent:
        textbook.throttled(101.2, ticket, 1.0)
    assert gap(textbook, 200.0) == pytest.approx(1 / 1.0)
    textbook.succeeded(201.0, sent[0])
    assert gap(textbook, 300.0) == pytest.approx(1 / 1.1)


def gap(algorithm, now):
    """Seconds between two slots, long after any hold."""
    first, second = (algorithm.reserve(now, waited=False).at for _ in range(2))
    return second - first


def test_callers_wait_for_their_slot_and_take_another_if_it_is_void():
    """Against a limit that refuses everything after the third request: nothing is sent during the hold."""
    seen = []

    class Vendor:
        def __init__(self):
            self.inner = parse_policy("token:rate=0.01,burst=3")

        def admit(self, now):
            seen.append(now)
            return self.inner.admit(now)

        def release(self, now):
            pass

    log = simulate(Constant(4.0), Vendor(), begin=0.0, seconds=60.0, seed=1)
    assert len(log.accepted) == 3
    # Those refused were under way before the first refusal came back, 0.15 s at the latest.
    assert log.rejected
    assert max(seen) - seen[3] < 0.15


def test_a_score_counts_within_its_span_and_follows_a_drifting_limit():
    policy = parse_policy("drift:rate=10,burst=10,at=100,factor=0.5")
    policy.admit(0.0)
    log = Log(accepted=[float(at) for at in range(1, 201)], rejected=[50.0, 150.0, 250.0])
    assert score(log, policy, 0.0, 100.0) == Score(10.0, pytest.approx(100 / 101))
    assert score(log, policy, 100.0, 200.0) == Score(20.0, pytest.approx(100 / 101))
    assert score(log, policy, 0.0, 200.0).goodput == pytest.approx(100 * 200 / 1500)
    assert score(Log(), policy, 0.0, 100.0) == Score(0.0, 0.0)


def test_the_learning_table_has_a_row_for_each_limit_and_algorithm():
    cases = [replace(case, seconds=30.0) for case in CASES]
    printed = report((1, 2), cases)
    for case in cases:
        assert re.search(rf"^{re.escape(case.name)} +([\d.]+|-) +prefect-aimd( +[\d.]+ ±[\d.]+){{6}}$", printed, re.M)
    assert len(re.findall(r"textbook AIMD", printed)) == len(CASES)


@pytest.mark.parametrize("seeds", ["one", "", "1,,2"])
def test_seeds_that_are_no_numbers_are_refused(seeds, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--seeds", seeds])
    assert stopped.value.code == 2
    assert "seeds are whole numbers with commas between" in capsys.readouterr().err


def test_a_table_is_aligned():
    assert table([["store", "p50"], ["memory", "1.5"], [], ["x", "12.25"]]).splitlines() == [
        "store     p50",
        "memory    1.5",
        "",
        "x       12.25",
    ]

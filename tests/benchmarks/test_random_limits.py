"""Limits drawn at random: what is drawn, what is scored, and that each rule that is taken away is put back."""

from __future__ import annotations

import dataclasses
import re

import pytest

from benchmarks import ladder, random_limits
from benchmarks.flying import simulate
from benchmarks.hybrid import Hybrid
from benchmarks.random_limits import OURS, Result, difference, draw, frontier, judge, summary
from benchmarks.score import score
from simulator import parse_policy

LIMITS = draw(7, 80)


def test_a_draw_depends_on_its_seed_alone_and_covers_every_kind() -> None:
    assert draw(7, 80) == LIMITS
    assert draw(8, 80) != LIMITS
    assert {each.kind for each in LIMITS} == set(random_limits.KINDS)
    for each in LIMITS:
        assert parse_policy(each.spec).rate(0.0) == pytest.approx(each.limit, rel=1e-3)
        assert each.callers >= 1.25 * each.limit * sum(each.latency) / 2, "the callers can reach the limit"


def test_the_best_constant_rate_of_a_bucket_with_room_is_the_limit() -> None:
    roomy = dataclasses.replace(LIMITS[0], kind="token", spec="token:rate=5,burst=5", limit=5.0, seconds=300.0)
    assert frontier(dataclasses.replace(roomy, callers=8, latency=(0.05, 0.15))) == pytest.approx(100, abs=1)


def test_only_what_exceeds_the_free_rejections_is_charged() -> None:
    assert Result(gap=3.0, rejected=0.5).score == 3.0
    assert Result(gap=3.0, rejected=1.5).score == 5.0
    assert difference([Result(3.0, 0.5), Result(5.0, 0.5)], [Result(2.0, 0.0), Result(2.0, 0.5)]) == ("2.00", "1.00")
    assert summary([Result(0.0, 0.5)] * 9 + [Result(10.0, 0.5)]) == ["1.00", "1.00", "0.50", "0.50", "0.50", "10.00"]


@pytest.mark.parametrize(("rival", "at_most"), [("textbook AIMD", 0.6), ("Hybrid", 0.9)])
def test_the_core_scores_better_than_others(rival: str, at_most: float) -> None:
    few = [each for each in LIMITS if each.seconds == 600.0 and each.limit < 10][:8]
    best = [frontier(each) for each in few]
    ours, theirs = (
        sum(judge(name, each, top).score for each, top in zip(few, best, strict=True)) for name in (OURS, rival)
    )
    assert ours < at_most * theirs


@pytest.mark.parametrize(
    ("spec", "seconds", "goodput", "rejected"),
    [  # as measured elsewhere, with another simulator
        ("token:rate=5,burst=5", 600.0, 97.7, 0.65),
        ("token:rate=5,burst=1", 600.0, 76.9, 0.75),
        ("token:rate=20,burst=20", 600.0, 99.4, 0.15),
        ("fixed:count=50,window=10", 600.0, 96.6, 0.74),
        ("sliding:count=50,window=10", 600.0, 94.5, 0.64),
        ("penalty:count=5,window=1,lockout=30", 600.0, 80.7, 0.09),
        ("inflight:cap=4,latency=0.1", 600.0, 91.0, 0.03),
    ],
)
def test_the_hybrid_does_what_it_is_known_to_do(spec: str, seconds: float, goodput: float, rejected: float) -> None:
    policy = parse_policy(spec)
    highest = 500.0 if spec.startswith("inflight") else 50.0
    log = simulate(Hybrid(2.0, 0.01, highest), policy, seconds=seconds, seed=1)
    assert score(log, policy, 60.0, seconds).goodput == pytest.approx(goodput, abs=2.5)
    assert score(log, policy, 0.0, seconds).rejected == pytest.approx(rejected, abs=0.06)


@pytest.mark.parametrize("rule", ladder.RULES)
def test_a_rule_is_taken_away_for_as_long_as_asked(rule: str) -> None:
    module, changes = ladder.RULES[rule].of, ladder.RULES[rule].without
    before = {name: getattr(module, name) for name in changes}
    with ladder.without(rule):
        assert all(getattr(module, name) == value for name, value in changes.items())
        assert all(getattr(module, name) != value for name, value in before.items())
    assert {name: getattr(module, name) for name in changes} == before


@pytest.mark.parametrize("kind", ladder.LIMITS)
def test_each_rule_has_limits_that_it_is_for(kind: str) -> None:
    assert any(rule.limits == kind for rule in ladder.RULES.values())
    drawn = draw(7, 3, ladder.LIMITS[kind])
    assert drawn == draw(7, 3, ladder.LIMITS[kind])
    for each in drawn:
        assert parse_policy(each.spec).rate(0.0) == pytest.approx(each.limit, rel=1e-3)


def test_the_tables_have_a_row_for_each_algorithm_and_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    short = [dataclasses.replace(each, seconds=90.0) for each in LIMITS if each.limit < 5][:1]
    for module in (random_limits, ladder):
        monkeypatch.setattr(module, "draw", lambda *_: short)
    printed = random_limits.report(1, 1)
    for name in random_limits.ALGORITHMS:
        assert re.search(rf"^{name}( +[\d.]+){{6}}", printed, re.M)
        assert re.search(rf"^{name}( +-| +\d+\.\d\d){{{len(random_limits.KINDS)}}}$", printed, re.M)
    assert len(re.findall(r"( +-?\d+\.\d\d){5} +-$", ladder.report(1, 1), re.M)) == len(ladder.RULES)

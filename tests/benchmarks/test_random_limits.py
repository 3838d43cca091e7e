"""Limits drawn at random: what is drawn, what is scored, and that each rule that is taken away is put back."""

from __future__ import annotations

import dataclasses
import re

import pytest

from benchmarks import ladder, random_limits
from benchmarks.random_limits import Result, draw, frontier, judge, summary
from limiter import aimd
from simulator import parse_policy

LIMITS = draw(7, 40)


def test_a_draw_depends_on_its_seed_alone_and_covers_every_kind() -> None:
    assert draw(7, 40) == LIMITS
    assert draw(8, 40) != LIMITS
    assert {each.kind for each in LIMITS} == {"token", "fixed", "sliding", "penalty", "drift"}
    for each in LIMITS:
        assert parse_policy(each.spec).rate(0.0) == pytest.approx(each.limit, rel=1e-3)
        assert each.callers >= 1.25 * each.limit * sum(each.latency) / 2, "the callers can reach the limit"


def test_the_best_constant_rate_of_a_bucket_with_room_is_the_limit() -> None:
    roomy = dataclasses.replace(LIMITS[0], kind="token", spec="token:rate=5,burst=5", limit=5.0, seconds=300.0)
    assert frontier(dataclasses.replace(roomy, callers=8, latency=(0.05, 0.15))) == pytest.approx(100, abs=1)


def test_only_what_exceeds_the_free_rejections_is_charged() -> None:
    assert Result(gap=3.0, rejected=0.5).score == 3.0
    assert Result(gap=3.0, rejected=1.5).score == 5.0
    assert summary([Result(0.0, 0.5)] * 9 + [Result(10.0, 0.5)]) == ["1.00", "1.00", "0.50", "0.50", "0.50", "10.00"]


def test_the_core_scores_better_than_the_textbook() -> None:
    few = [each for each in LIMITS if each.seconds == 600.0 and each.limit < 10][:4]
    best = [frontier(each) for each in few]
    ours, theirs = (
        sum(judge(name, each, top).score for each, top in zip(few, best, strict=True))
        for name in ("prefect-aimd", "textbook AIMD")
    )
    assert ours < 0.7 * theirs


@pytest.mark.parametrize("rule", ladder.RULES)
def test_a_rule_is_taken_away_for_as_long_as_asked(rule: str) -> None:
    before = {name: getattr(aimd, name) for name in ladder.RULES[rule]}
    with ladder.without(rule):
        assert all(getattr(aimd, name) == value for name, value in ladder.RULES[rule].items())
        assert all(getattr(aimd, name) != value for name, value in before.items())
    assert {name: getattr(aimd, name) for name in ladder.RULES[rule]} == before


def test_the_tables_have_a_row_for_each_algorithm_and_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    short = [dataclasses.replace(each, seconds=90.0) for each in LIMITS if each.limit < 5][:1]
    for module in (random_limits, ladder):
        monkeypatch.setattr(module, "draw", lambda _seed, _count: short)
    for name in random_limits.ALGORITHMS:
        assert re.search(rf"^{name}( +[\d.]+){{6}}$", random_limits.report(1, 1), re.M)
    assert len(re.findall(r"( +\d+\.\d\d){6}$", ladder.report(1, 1), re.M)) == len(ladder.RULES)

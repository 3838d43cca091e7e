"""What of a history is drawn, and what is only counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.curve import AHEAD, SHORTEST, curve
from state import HistoryEvent

START = 1_800_000_000.0
DAY = 86_400.0


def run(start, seconds=60, every=3):
    """A run that changes its rate now and then."""
    return [HistoryEvent(start + at, "increase", 2.0 + at / 100, 2.0 + at / 100) for at in range(0, seconds, every)]


def drawn(events, now, **more):
    return curve(events, rate_now=2.0, now=now, **more)


def test_of_short_daily_runs_the_last_one_is_drawn_and_the_others_counted():
    month = [event for day in range(30) for event in run(START + day * DAY)]
    shown = drawn(month, month[-1].at + 1)
    assert (shown.start, shown.end) == (START + 29 * DAY, month[-1].at + 1)
    assert (len(shown.events), shown.earlier) == (20, 29 * 20)


def test_what_was_not_even_read_is_counted_too():
    assert drawn(run(START), START + 60, total=5000).earlier == 5000 - 20


def test_runs_that_fill_most_of_the_time_are_drawn_with_their_pauses():
    nights = [event for day in range(5) for event in run(START + day * DAY, seconds=8 * 3600, every=60)]
    shown = drawn(nights, nights[-1].at)
    assert (shown.start, shown.earlier) == (START, 0)


def test_a_few_minutes_between_two_runs_part_nothing():
    twice = [*run(START), *run(START + 500)]
    assert drawn(twice, START + 560).earlier == 0
    assert drawn([*run(START), *run(START + 700)], START + 760).earlier == 20


def test_a_cooldown_is_no_pause():
    held = HistoryEvent(START + 60, "backoff", 2.6, 2.3, 2.6, 7200.0, 429, START + 7260)
    shown = drawn([*run(START), held, *run(START + 7260)], START + 7320)
    assert (shown.start, shown.earlier) == (START, 0)
    assert shown.cooldowns(500) == [(START + 60, START + 7260)]


def test_days_after_a_run_it_is_still_the_run_that_is_drawn():
    events = run(START)
    shown = drawn(events, START + 3 * DAY)
    assert shown.start == START
    assert shown.end == events[-1].at + SHORTEST
    assert shown.rate[-1] == (shown.end, 2.0)


def test_a_hold_that_lasts_is_shown_up_to_a_part_of_it():
    held = HistoryEvent(START + 60, "backoff", 2.6, 2.3, 2.6, 50_000.0, 429, START + 50_060)
    shown = drawn([*run(START), held], START + 100)
    assert shown.end == pytest.approx(START + 100 + AHEAD * 100)
    assert shown.rate[-1][0] == START + 100


@pytest.mark.parametrize(
    ("documented", "text", "height", "top"),
    [(6.0, "documented 6.00", 6.0, 7.0), (600.0, "documented 600 ↑", 3.0, 3.0), (0.0, None, None, 3.0)],
)
def test_a_documented_limit_is_a_line_unless_it_lies_far_above(documented, text, height, top):
    shown = drawn([HistoryEvent(START, "backoff", 2.6, 2.3, 2.5)], START + 60, documented=documented)
    named = {name.kind: (name.text, name.rate) for name in shown.names}
    assert named.pop("documented", (None, None)) == (text, height)
    assert named == {"rate": ("now 2.00", 2.0), "ceiling": ("ceiling 2.50", 2.5)}
    assert [rate for _, rate in shown.limit] == [documented] * (2 * (height == documented))
    assert shown.ticks[-1] == top


def test_what_came_before_is_said_in_words():
    assert [drawn(run(START), START + 60, total=total).before for total in (20, 21, 5020)] == [
        "",
        "← 1 earlier event",
        "← 5,000 earlier events",
    ]


times = st.floats(START, START + 60 * DAY)
histories = st.lists(
    st.builds(
        HistoryEvent,
        at=times,
        kind=st.just("backoff"),
        rate_before=st.floats(0.1, 9),
        rate_after=st.floats(0.1, 9),
        ceiling=st.just(0.0) | st.floats(0.1, 9),
        cooldown_until=st.just(0.0) | times,
    ),
    max_size=20,
)


@settings(max_examples=100)
@given(histories, times)
def test_any_history_is_drawn_from_left_to_right_and_nothing_is_lost_silently(events, now):
    shown = drawn(events, now)
    assert len(shown.events) + shown.earlier == len(events)
    assert list(shown.events) == sorted(events, key=lambda event: event.at)[shown.earlier :]
    assert shown.end - shown.start >= SHORTEST
    for line in (shown.rate, shown.ceiling):
        across = [at for at, _ in line]
        assert across == sorted(across)
        assert all(shown.start <= at <= shown.end for at in across)
    ends = [edge for span in shown.cooldowns(500) for edge in span]
    assert ends == sorted(ends)

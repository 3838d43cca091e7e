"""The overview of all limiters, without a Prefect server."""

import re

from flows.artifact import artifact_key
from flows.overview import LIMITERS_SHOWN, OVERVIEW_KEY, Line, overview_artifact, overview_headline, overview_markdown
from limiter import ApiRateConfig
from limiter.testing import FakeClock
from state import Bucket, Decision, HistoryEvent, LimiterState
from state.memory import MemoryStore

START = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
CONFIG = ApiRateConfig("acme", "https://secret-host.test", documented_rate=3.0)
EVENTS = [
    HistoryEvent(START - 90_000, "start", 2.0, 2.0),
    HistoryEvent(START - 7200, "backoff", 2.4, 2.2, 2.4, 1.0, 429, START - 7199),
    HistoryEvent(START - 60, "backoff", 3.2, 2.9, 3.2, 1.0, 429, START - 59),
]
BUSY = Line(Bucket("acme"), LimiterState(rate=2.95, ceiling=3.21, throttles=1234), EVENTS, CONFIG)
HELD = Line(Bucket("acme", quota_key="Team B"), LimiterState(rate=1.0, cooldown_until=START + 90), EVENTS[:1], CONFIG)


def rows(markdown):
    """The table's rows as dicts by heading."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    head, _, *cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in cells]


def test_a_row_says_all_of_a_limiter():
    assert rows(overview_markdown([BUSY, HELD], START)) == [
        {
            "Limiter": "[acme/default/default](../key/limiter-acme-default-default)",
            "Now": "**2.95**",
            "Ceiling": "3.21",
            "Docs": "3.00",
            "Held until": "",
            "Backoffs": "1 / 2",
            "Refused": "1,234",
            "Changed": "07:59",
            "Trend": "▁▂██",
        },
        {
            "Limiter": f"[acme/default/Team B](../key/{artifact_key(HELD.bucket)})",
            "Now": "**1.00**",
            "Ceiling": "",
            "Docs": "3.00",
            "Held until": "08:01:30",
            "Backoffs": "0 / 0",
            "Refused": "0",
            "Changed": "2027-01-14",
            "Trend": "█▁",
        },
    ]


def test_columns_without_anything_are_left_out():
    plain = Line(Bucket("gone"), LimiterState(rate=2.0), EVENTS[:1])
    assert list(rows(overview_markdown([plain], START))[0]) == ["Limiter", "Now", "Backoffs", "Refused", "Changed"]


def test_the_headline_counts():
    assert overview_headline([BUSY, HELD], START) == "2 limiters, 1 cooling down, 1 backoff in the last hour"
    assert overview_headline([], START) == "0 limiters, no backoffs in the last hour"
    assert "None has been used yet." in overview_markdown([], START)


def test_a_count_that_the_events_read_do_not_reach_back_for_says_so():
    cut_off = Line(Bucket("acme"), LimiterState(rate=2.0), [HistoryEvent(START - i, "backoff", 2, 2) for i in (9, 8)])
    assert rows(overview_markdown([cut_off], START))[0]["Backoffs"] == "2+ / 2+"


def test_names_from_outside_stay_text():
    hostile = "a|b\n# *c* <img src=x> [d](http://e) `f`"
    markdown = overview_markdown([Line(Bucket("acme", hostile, hostile), LimiterState(rate=2.0), [])], START)
    assert len(rows(markdown)) == 1
    assert not re.search(r"(?<!\\)(<|`)", markdown)
    assert [line for line in markdown.splitlines() if line.startswith("#")] == ["# Limiters"]


def test_every_limiter_of_the_store_is_in_it_and_no_address():
    store = MemoryStore(clock=FakeClock(START))
    for line in (BUSY, HELD):
        store.transact(line.bucket, lambda *_, line=line: Decision(line.state, None, tuple(line.events)))
    told, page = overview_artifact(store, {"acme": CONFIG})
    assert told == overview_headline([HELD, BUSY], START)
    assert page == overview_markdown([HELD, BUSY], START)
    assert "secret-host" not in page
    assert re.fullmatch("[a-z-]+", OVERVIEW_KEY)


def test_of_very_many_limiters_the_last_used_are_shown_and_the_rest_counted():
    store = MemoryStore(clock=FakeClock(START))
    for number in range(LIMITERS_SHOWN + 3):
        bucket, state = Bucket("acme", quota_key=f"{number:03}"), LimiterState(rate=2.0, updated_at=START - number)
        store.transact(bucket, lambda *_, state=state: Decision(state, None))
    told, page = overview_artifact(store, {})
    assert told == "203 limiters, no backoffs in the last hour"
    assert "The 200 that changed last are shown; `aimd limiter list` shows all." in page
    assert len(rows(page)) == LIMITERS_SHOWN
    assert "default/199]" in page
    assert "default/200]" not in page

"""The artifact's key, headline and page, without a Prefect server."""

import re
from base64 import b64decode
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.artifact import EVENTS_SHOWN, artifact_key, headline, limiter_markdown
from flows.curve import EVENTS_DRAWN
from flows.words import duration, escaped, shown_rate, sparkline
from limiter import ApiRateConfig
from state import Bucket, HistoryEvent, LimiterState

START = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
RUN = "5f0c1d2e-0000-4000-8000-000000000000"
LINK = f"[5f0c1d2e](../../runs/flow-run/{RUN})"
BUCKET = Bucket("acme")
CONFIG = ApiRateConfig("acme", "https://secret-host.test", documented_rate=3.0, documented_limit_desc="180 a minute")
EVENTS = [
    HistoryEvent(START, "start", 2.0, 2.0),
    HistoryEvent(START + 10, "increase", 2.0, 3.21, run_id=RUN),
    HistoryEvent(START + 30, "backoff", 3.21, 2.95, 3.21, 90.0, 429, START + 120, RUN),
]
COOLING = LimiterState(rate=2.95, ceiling=3.21, cooldown_until=START + 120, throttles=1)
CALM = LimiterState(rate=2.97, ceiling=3.21)


def page(state=CALM, events=EVENTS, now=START + 60, bucket=BUCKET, config=CONFIG, **more):
    return limiter_markdown(bucket, config, state, events, now, **more)


def rows(markdown):
    """The cells of the table's rows, without its head."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def picture(markdown):
    (data,) = re.findall(r"!\[[^\n]*?\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    return b64decode(data, validate=True).decode()


# Keys


def test_a_plain_bucket_has_a_plain_key():
    assert artifact_key(Bucket("notion")) == "limiter-notion-default-default"


@pytest.mark.parametrize("key", ["Team-A", "team-a", "team a", "TEAM_A", "team/a"])
def test_what_a_slug_loses_a_hash_tells_apart(key):
    assert re.fullmatch(r"limiter-notion-default-team-a--[0-9a-f]{10}", artifact_key(Bucket("notion", quota_key=key)))


def test_a_key_says_which_limiter_it_is_for_every_time():
    assert artifact_key(Bucket("notion", quota_key="Team A")) == artifact_key(Bucket("notion", quota_key="Team A"))
    assert artifact_key(Bucket("notion", quota_key="Team A")) == "limiter-notion-default-team-a--01db156e2b"


# From few letters, so that slugs do meet.
parts = st.text("ab-A é", max_size=3) | st.text(max_size=300)
buckets = st.builds(Bucket, parts, parts, parts)


@given(buckets)
def test_a_key_is_one_that_prefect_takes(bucket):
    assert re.fullmatch(r"limiter-[a-z0-9]([a-z0-9-]*[a-z0-9])?", artifact_key(bucket))
    assert len(artifact_key(bucket)) <= max(110, len(str(bucket)) + 10)


@settings(max_examples=50)
@given(st.lists(buckets, min_size=2, max_size=30, unique=True))
def test_distinct_buckets_have_distinct_keys(several):
    assert len({artifact_key(bucket) for bucket in several}) == len(several)


def test_parts_that_join_to_the_same_text_have_distinct_keys():
    hashed = artifact_key(Bucket("a", "b-c"))
    twins = [Bucket("a", "b-c"), Bucket("a-b", "c"), Bucket("a", "b", "c-default"), Bucket(*hashed.split("-")[1:4])]
    assert len({artifact_key(bucket) for bucket in twins}) == 4


# Headline


def test_the_headline_says_rate_backoffs_and_shape():
    assert headline(CALM, EVENTS, START + 600) == "2.97 requests/s, 1 backoff in the last hour ▁█▆▇"


def test_the_headline_says_until_when_nobody_sends():
    assert headline(COOLING, EVENTS, START + 60).startswith("2.95 requests/s, cooling down until 08:02 UTC, 1 backoff")
    assert "cooling" not in headline(COOLING, EVENTS, START + 120)


def test_old_backoffs_are_not_counted():
    assert "no backoffs in the last hour" in headline(CALM, EVENTS, START + 30 + 3600)


def test_a_history_shorter_than_the_hour_is_not_said_to_be_the_hour():
    cut_off = [HistoryEvent(START + i, "backoff", 3.0, 2.9) for i in range(7)]
    assert "7 backoffs in the last 25 min" in headline(CALM, cut_off, START + 1500)
    assert "5 backoffs in the last hour" in headline(CALM, cut_off, START + 3601)


def test_without_changes_there_is_nosparkline():
    assert headline(LimiterState(rate=2.0), EVENTS[:1], START + 60) == "2.00 requests/s, no backoffs in the last hour"
    assert headline(LimiterState(rate=2.0), [], START + 60) == "2.00 requests/s, no backoffs in the last hour"


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_a_sparkline_is_short_and_uses_its_whole_height(rates):
    line = sparkline(rates)
    assert len(line) <= 16
    assert not line or {"▁", "█"} <= set(line)


# Page


def test_the_page_begins_with_where_the_limiter_stands():
    head, standing, *_ = page().split("\n\n")
    assert head == "# Limiter acme/default/default"
    assert standing == (
        "**2.97 requests/s** now, 1 backoff in the last hour. The vendor last objected at 3.21 requests/s. "
        "Documented: 180 a minute. Configured bounds: 0.0500 to 10.0 requests/s."
    )


def test_the_page_says_nothing_that_is_not_known():
    markdown = page(LimiterState(rate=1.0), [], config=ApiRateConfig("acme", "https://acme.test"))
    assert "objected" not in markdown
    assert "Documented" not in markdown
    assert "None yet." in markdown
    assert rows(markdown) == []


def test_a_cooldown_is_told_in_words():
    assert (
        "**Cooling down:** nobody sends for another 60 s, until 2027-01-15 08:02:00 UTC. The vendor asked for 90 s."
    ) in page(COOLING)
    assert "Cooling" not in page(COOLING, now=START + 120)


def test_the_picture_holds_the_rates_of_the_table():
    markdown = page()
    svg = picture(markdown)
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    for rate in re.findall(r"\d+\.\d+", " ".join(row[2] for row in rows(markdown))):
        assert rate in svg
    assert "now 2.97" in svg


def test_the_table_shows_the_newest_events_first():
    assert rows(page()) == [
        ["08:00:30", "backoff", "3.21 → 2.95", "429", "90 s", "08:02:00", LINK],
        ["08:00:10", "increase", "2.00 → 3.21", "", "", "", LINK],
        ["08:00:00", "start", "2.00", "", "", "", ""],
    ]
    assert rows(page(now=START + 86_400))[0][0] == "2027-01-15 08:00:30"


def test_a_cooldown_that_ends_on_another_day_says_which():
    late = HistoryEvent(START, "cooldown", 2.0, 2.0, 0.0, 86_400.0, 503, START + 86_400)
    assert rows(page(events=[late]))[0][3:6] == ["503", "1 d", "2027-01-16 08:00:00"]


def test_a_long_history_is_cut_and_counted():
    many = [HistoryEvent(START + i, "increase", 1 + i / 100, 1.01 + i / 100) for i in range(60)]
    markdown = page(events=many, total=12_345)
    assert f"## The last {EVENTS_SHOWN} of 12,345 events" in markdown
    assert [row[2].rpartition(" ")[2] for row in rows(markdown)] == [shown_rate(1.6 - i / 100) for i in range(20)]
    assert "## Last events" in page(events=many[:EVENTS_SHOWN])


@pytest.mark.parametrize("run", ["nightly", "javascript:alert(1)", RUN[:-1], f"{RUN})"])
def test_only_flow_runs_are_linked(run):
    [row] = rows(page(events=[HistoryEvent(START, "start", 2.0, 2.0, run_id=run)]))
    assert row[-1] == escaped(run[:8])


def test_the_longest_history_makes_a_page_that_prefect_takes():
    worst = [
        HistoryEvent(START + i, "backoff", 3.0 + i % 7 / 10, 2.5 + i % 5 / 10, 3.7, 90.0, 429, START + i + 90, RUN)
        for i in range(EVENTS_DRAWN)
    ]
    markdown = page(events=worst, now=START + EVENTS_DRAWN, total=1_000_000)
    assert len(markdown.encode()) < 200_000
    assert f"← {1_000_000 - EVENTS_DRAWN:,} earlier events" in picture(markdown)


def test_names_from_outside_stay_text():
    hostile = "a|b\n# *c* <img src=x> [d](http://e) `f`"
    markdown = page(
        bucket=Bucket("acme", hostile, hostile),
        events=[HistoryEvent(START, hostile, 2.0, 2.1, run_id="|<b>|run")],
        config=ApiRateConfig("acme", "https://acme.test", documented_limit_desc=hostile),
    )
    assert len(rows(markdown)) == 1
    assert len(rows(markdown)[0]) == 7
    assert [line for line in markdown.splitlines() if line.startswith("#")][1:] == ["## Last events"]
    assert not re.search(r"(?<!\\)(<|`)", markdown)
    assert markdown.count("](") - markdown.count(r"\](") == 1  # the picture


@given(st.text())
def test_escaped_text_is_one_line_without_live_marks(text):
    shown = escaped(text)
    assert shown.isprintable()
    assert not re.search(r"(?<!\\)[`*_\[\]<>|~&#!]", shown.replace("\\\\", ""))


def test_addresses_of_the_vendor_are_not_on_the_page():
    assert "secret-host" not in page() + picture(page())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (2.5, "2.5 s"),
        (30, "30 s"),
        (9.96, "10 s"),
        (99.6, "100 s"),
        (100, "2 min"),
        (3540, "59 min"),
        (3599, "1 h"),
        (3900, "1 h 5 min"),
        (86_399, "1 d"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations_are_said_in_words(seconds, words):
    assert duration(seconds) == words

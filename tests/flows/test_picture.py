"""The picture: what stands in it, that it stands alone, and that no history breaks it."""

import re
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.curve import curve, rate_ticks, time_ticks
from flows.picture import rate_picture
from flows.picture_svg import HEIGHT, WIDTH, _spread
from flows.words import shown_rate, utc
from limiter import ApiRateConfig
from state import HistoryEvent
from state.codec import KINDS

SVG = "{http://www.w3.org/2000/svg}"
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # the second where lxml is installed
START = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
CONFIG = ApiRateConfig("acme", "https://api.acme.test", documented_rate=3.0)
UNDOCUMENTED = ApiRateConfig("acme", "https://api.acme.test")
CLIMB = [
    HistoryEvent(START, "start", 2.0, 2.0),
    HistoryEvent(START + 10, "increase", 2.0, 2.34),
    HistoryEvent(START + 20, "increase", 2.34, 3.21),
    HistoryEvent(START + 30, "backoff", 3.21, 2.95, 3.21, 5.0, 429, START + 35),
    HistoryEvent(START + 36, "recovered", 2.95, 2.95, 3.21),
    HistoryEvent(START + 50, "increase", 2.95, 3.02, 3.21),
]


def draw(events, rate_now=3.02, now=START + 60, config=CONFIG, title="acme/default/default"):
    return rate_picture(events, rate_now=rate_now, now=now, config=config, title=title)


def parsed(svg):
    """The root of the document, after the checks that every picture must pass."""
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert (root.get("width"), root.get("height")) == (str(WIDTH), str(HEIGHT))
    assert "<script" not in svg
    assert "<!--" not in svg
    assert set(re.findall(r"https?:[^\"' )<]*", svg)) <= NAMESPACES
    for node in root.iter():
        for name in ("x", "y", "cx", "cy", "d"):
            assert not re.search(r"nan|inf|e[+-]", node.get(name, "")), node.attrib
    return root


def texts(root):
    return [node.text for node in root.iter(f"{SVG}text") if node.text]


def series(root, number, tag):
    return [node for g in root.iter(f"{SVG}g") if f"serie-{number}" in g.get("class", "") for node in g.iter(SVG + tag)]


def heights(line):
    """The heights of a line's corners, in pixels from the top."""
    return [float(y) for y in re.findall(r"(?:V|[ML][\d.]+ )([\d.]+)", line.get("d"))]


def sawtooth(count, every=20.0, kind="backoff"):
    return [
        HistoryEvent(
            START + every * i, kind, 3 + i % 7 / 10, 2.5 + i % 5 / 10, 3.7, 2.0, 429, START + every * i + every / 4
        )
        for i in range(count)
    ]


def test_every_rate_of_the_history_is_in_the_picture():
    svg = draw(CLIMB)
    description = parsed(svg).find(f"{SVG}desc").text
    assert description.endswith(": 2.00 2.34 3.21 2.95 3.02")
    assert "08:00:30 3.21 → 2.95" in svg


def test_the_lines_are_named_with_their_figures():
    assert {"now 3.02", "ceiling 3.21", "documented 3.00"} <= set(texts(parsed(draw(CLIMB))))


def test_the_rate_is_a_step_line_from_the_first_event_to_now():
    (line,) = series(parsed(draw(CLIMB)), 3, "path")
    assert re.fullmatch(r"M[\d.]+ [\d.]+(H[\d.]+V[\d.]+){4}H[\d.]+", line.get("d"))


def test_a_backoff_is_marked_at_the_rate_that_was_refused():
    root = parsed(draw(CLIMB))
    (mark,) = series(root, 5, "circle")
    (line,) = series(root, 3, "path")
    assert f"V{mark.get('cy')}H{mark.get('cx')}V" in line.get("d")
    assert "●" in "".join(root.itertext())


def test_a_refusal_without_a_cut_has_a_mark_of_its_own():
    held = HistoryEvent(START + 40, "cooldown", 2.95, 2.95, 3.21, 60.0, 503, START + 100)
    root = parsed(draw([*CLIMB[:5], held], 2.95))
    assert len(series(root, 4, "circle")) == len(series(root, 5, "circle")) == 1
    assert "○ refused, no cut" in "".join(root.itertext())


def test_cooldowns_are_shaded_and_explained_only_where_there_are_any():
    assert len(series(parsed(draw(CLIMB)), 0, "path")) == 1
    calm = parsed(draw(CLIMB[:3]))
    assert series(calm, 0, "path") == series(calm, 5, "circle") == []
    assert not {"■", "●", "○"} & set("".join(calm.itertext()))


def test_cooldowns_that_touch_are_shaded_once():
    overlapping = [HistoryEvent(START + 10 * i, "cooldown", 2, 2, 2, 20, 429, START + 10 * i + 20) for i in range(4)]
    assert len(series(parsed(draw(overlapping)), 0, "path")) == 1


def test_a_cooldown_in_the_future_leaves_most_of_the_picture_to_the_past():
    refused = HistoryEvent(START + 55, "backoff", 3.02, 2.7, 3.02, 3600.0, 429, START + 3655)
    root = parsed(draw([*CLIMB, refused], 2.7))
    *_, box = series(root, 0, "path")
    since, until = (float(x) for x in re.match(r"M([\d.]+) .*H([\d.]+)V", box.get("d")).groups())
    assert until - since < WIDTH / 4
    (line,) = series(root, 3, "path")
    assert since < float(line.get("d").rpartition("H")[2]) < until


def test_a_clock_that_was_set_back_draws_no_line_backwards():
    early = HistoryEvent(START - 3600, "increase", 3.0, 3.1, 3.0)
    for number in (2, 3):
        (line,) = series(parsed(draw([*CLIMB, early], 3.1)), number, "path")
        across = [float(x) for x in re.findall(r"(?:H|[ML])([\d.]+)", line.get("d"))]
        assert across == sorted(across)


def test_names_of_lines_at_the_bottom_stay_in_the_picture():
    cut = [HistoryEvent(START, "start", 9, 9), HistoryEvent(START + 9, "backoff", 9, 0.01, 0.01, 5.0, 429, START + 14)]
    root = parsed(draw(cut, 0.01, config=ApiRateConfig("acme", "https://acme.test", documented_rate=0.01)))
    (floor,) = [node for node in root.iter(f"{SVG}text") if node.text == "0"]
    for node in root.iter(f"{SVG}text"):
        if node.get("class", "").startswith("name"):
            assert float(node.get("y")) < float(floor.get("y")) + 10


def test_without_a_documented_limit_there_is_no_line_for_it():
    root = parsed(draw(CLIMB, config=UNDOCUMENTED))
    assert series(root, 1, "path") == []
    assert not any("documented" in text for text in texts(root))


def test_a_documented_limit_far_above_is_named_but_does_not_flatten_the_line():
    root = parsed(draw(CLIMB, config=ApiRateConfig("acme", "https://a.test", documented_rate=100.0)))
    assert "documented 100 ↑" in texts(root)
    assert series(root, 1, "path") == []
    (line,) = series(root, 3, "path")
    assert max(heights(line)) - min(heights(line)) > HEIGHT / 8


def test_the_same_history_gives_the_same_picture():
    assert draw(CLIMB) == draw(list(CLIMB))


def test_500_events_stay_small():
    climbing = [HistoryEvent(START + i, "increase", 1 + i / 100, 1.01 + i / 100, 3.0) for i in range(500)]
    assert len(draw(climbing).encode()) < 20 * 1024
    assert len(draw(sawtooth(500), now=START + 10_000).encode()) < 60 * 1024


def test_5000_events_are_thinned_and_no_backoff_is_lost():
    events = sawtooth(5000, every=2.0)
    svg = draw(events, now=START + 10_000)
    root = parsed(svg)
    said = "\n".join(node.text for node in root.iter(f"{SVG}title"))
    for event in events:
        assert f"{utc(event.at):%H:%M:%S} {shown_rate(event.rate_before)} → {shown_rate(event.rate_after)}" in said
    assert len(series(root, 5, "circle")) < 400
    (line,) = series(root, 3, "path")
    assert len(re.findall(r"[HVL]", line.get("d"))) < 4 * WIDTH


def test_thinning_keeps_the_highest_and_the_lowest_rate():
    plain = [HistoryEvent(START + i, "increase", 1.0, 1.0) for i in range(4000)]
    plain[2001] = HistoryEvent(START + 2000.2, "increase", 1.0, 6.0)
    plain[2002] = HistoryEvent(START + 2000.4, "backoff", 6.0, 0.5)
    plain[2003] = HistoryEvent(START + 2000.6, "increase", 0.5, 1.0)
    (line,) = series(parsed(draw(plain, 1.0, START + 4000, UNDOCUMENTED)), 3, "path")
    level, highest, lowest = heights(line)[0], min(heights(line)), max(heights(line))
    assert level - highest == pytest.approx(10 * (lowest - level), abs=1)  # 5 requests/s up, half of one down


@pytest.mark.parametrize(
    ("events", "rate_now"),
    [
        pytest.param([], 2.0, id="no event"),
        pytest.param(CLIMB[:1], 2.0, id="one event"),
        pytest.param(CLIMB[:2], 2.34, id="two events"),
        pytest.param([HistoryEvent(START, "start", 1e-6, 1e-6)], 1e-6, id="tiny rate"),
        pytest.param([HistoryEvent(START, "start", 1e9, 1e9)], 1e9, id="huge rate"),
        pytest.param([HistoryEvent(START + 60, "increase", 2, 2 + i / 9) for i in range(9)], 3.0, id="the same second"),
        pytest.param([HistoryEvent(0.0, "start", 2, 2), *CLIMB], 3.02, id="a clock that began in 1970"),
        pytest.param([*CLIMB, HistoryEvent(START - 3600, "increase", 3.0, 3.1)], 3.1, id="a clock that was set back"),
        pytest.param([*CLIMB, HistoryEvent(START + 1e6, "increase", 3.0, 3.1)], 3.1, id="an event after now"),
        pytest.param([HistoryEvent(1e15, "unknown", 2, 2, cooldown_until=1e18)], 2.0, id="beyond the calendar"),
    ],
)
def test_odd_histories_can_be_drawn(events, rate_now):
    root = parsed(draw(events, rate_now))
    assert len(series(root, 3, "path")) == 1
    assert f"now {shown_rate(rate_now)}" in texts(root)


rates = st.floats(1e-4, 1e5)
histories = st.lists(
    st.builds(
        HistoryEvent,
        at=st.floats(START, START + 3e6),
        kind=st.sampled_from(KINDS),
        rate_before=rates,
        rate_after=rates,
        ceiling=st.just(0.0) | rates,
        cooldown_until=st.just(0.0) | st.floats(START, START + 4e6),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(events=histories, rate_now=rates, documented=st.just(0.0) | rates, title=st.text(max_size=90))
def test_any_history_gives_a_document_with_the_rates_that_are_drawn(events, rate_now, documented, title):
    config = ApiRateConfig("acme", "https://api.acme.test", documented_rate=documented)
    svg = rate_picture(events, rate_now=rate_now, now=START + 3e6, config=config, title=title)
    root = parsed(svg)
    assert svg.encode()  # no half of a surrogate pair
    shown = root.find(f"{SVG}desc").text.split()
    drawn = curve(events, rate_now=rate_now, now=START + 3e6)
    assert {shown_rate(event.rate_after) for event in drawn.events} <= set(shown)
    assert len(drawn.events) + drawn.earlier == len(events)
    assert shown[-1] == shown_rate(rate_now)


def test_an_open_circuit_is_marked_and_the_time_in_which_nobody_asks_is_shaded():
    opened = HistoryEvent(START + 40, "opened", 2.95, 2.95, 3.21, None, 503, START + 70)
    root = parsed(draw([*CLIMB, opened], now=START + 80))
    assert len(series(root, 6, "circle")) == 1
    words = "".join(node.text or "" for node in root.iter(f"{SVG}tspan"))
    assert words == "● circuit open\N{EM SPACE}● backoff: rate cut\N{EM SPACE}■ cooldown"
    assert not series(parsed(draw(CLIMB)), 6, "circle")


def test_a_title_is_text_and_never_markup():
    root = parsed(draw(CLIMB, title='<script>&"\x00\ud800</script>'))
    assert root.find(f"{SVG}title").text == '<script>&"</script>'
    assert '<script>&"</script>' in texts(root)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(2.9712, "2.97"), (0.0, "0.00"), (9.999, "10.0"), (99.95, "100"), (0.04999, "0.0500"), (123456.0, "123000")],
)
def test_a_rate_is_shown_with_three_digits(rate, shown):
    assert shown_rate(rate) == shown


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (20, ["08:00:00", "08:00:05", "08:00:10", "08:00:15", "08:00:20"]),
        (600, ["08:00", "08:02", "08:04", "08:06", "08:08", "08:10"]),
        (20 * 3600, ["08:00", "12:00", "16:00", "20:00", "Jan 16", "04:00"]),
        (30 * 86_400, ["Jan 17", "Jan 22", "Jan 27", "Feb 1", "Feb 6", "Feb 11"]),
    ],
)
def test_times_are_round_and_readable(seconds, labels):
    assert [label for _, label in time_ticks(START, START + seconds)] == labels


@settings(max_examples=50)
@given(st.floats(20, 30 * 86_400), st.floats(0, 1e10))
def test_there_are_a_few_times_for_any_span(span, start):
    ticks = list(time_ticks(start, start + span))
    assert 1 <= len(ticks) <= 9
    assert all(start - 1e-6 <= at <= start + span + 1e-6 for at, _ in ticks)


@given(st.floats(1e-6, 1e9))
def test_the_rate_axis_begins_at_zero_and_ends_above_the_rate(highest):
    ticks = rate_ticks(highest)
    assert ticks[0] == 0.0
    assert highest < ticks[-1] < 1.6 * highest
    assert 3 <= len(ticks) <= 9


@given(st.lists(st.floats(0, 220), min_size=1, max_size=3))
def test_names_never_cover_each_other(wanted):
    spread = sorted(_spread(wanted, 220))
    assert all(below - above >= 18 - 1e-9 for above, below in pairwise(spread))
    assert spread[-1] <= 220


def test_importing_the_picture_loads_nothing_heavy():
    code = "import sys, flows.picture, flows.artifact; print({'pygal', 'prefect', 'sqlalchemy'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "set()"

"""The chart that a terminal shows above the history."""

import os
import pty
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from flows.cli.chart import Chart
from flows.words import shown_rate
from state import HistoryEvent
from state.codec import KINDS

START = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
CLIMB = [
    HistoryEvent(START, "start", 2.0, 2.0),
    HistoryEvent(START + 30, "increase", 2.0, 4.0),
    HistoryEvent(START + 60, "backoff", 4.0, 3.0, 4.0, 15.0, 429, START + 75),
    HistoryEvent(START + 90, "cooldown", 3.0, 3.0, 4.0, 5.0, 503, START + 95),
]


def chart(events=CLIMB, rate_now=3.0, now=START + 120, documented=1.0, **more):
    return Chart(events, rate_now=rate_now, now=now, documented=documented, title="acme/default/default", **more)


def text(drawn, width=80):
    return ["".join(part for part, _ in line) for line in drawn.lines(width)]


def test_the_rate_rises_and_falls_as_it_did():
    plain = [replace(event, ceiling=0.0) for event in CLIMB]
    rows = [line[3:] for line in text(chart(plain, documented=0.0), width=23 + 40) if "│" in line]
    # Ten rows for 5 requests/s.
    heights = [sum(row[column] == "█" for row in rows) for column in (2, 12, 18, 22, 38)]
    assert heights == [4, 8, 8, 6, 6]


def test_the_lines_are_named_with_their_figures():
    drawn = "\n".join(text(chart()))
    assert {"now 3.00", "ceiling 4.00", "documented 1.00"} <= set(
        re.findall(r"(?:now|ceiling|documented) [\d.]+", drawn)
    )
    assert "documented 30.0 ↑" in "\n".join(text(chart(documented=30.0)))
    assert "documented" not in "\n".join(text(chart(documented=0.0)))


def test_refusals_stand_on_the_axis_where_they_happened():
    *_, axis, times, explained = text(chart(), width=23 + 60)
    assert (axis.index("●") - 3, axis.index("○") - 3) == (30, 45)
    assert times.split() == ["08:00:30", "08:01:00", "08:01:30"]
    assert explained.strip().split("  ") == ["● backoff: rate cut", "○ refused, no cut", "░ cooldown"]


def test_a_calm_history_explains_no_signs():
    assert not re.search("[●○░]", "".join(text(chart(CLIMB[:2]))))


def test_an_open_circuit_is_a_sign_of_its_own():
    opened = [HistoryEvent(START + 15, "opened", 2.0, 2.0, status=503, cooldown_until=START + 45)]
    *_, axis, _, explained = text(chart([CLIMB[0], *opened], now=START + 60), width=23 + 60)
    assert axis.count("◆") == 1
    assert explained.strip().split("  ") == ["◆ circuit open", "░ cooldown"]
    everything = [*CLIMB, replace(opened[0], at=START + 100)]
    assert max(cell_len(line) for line in text(chart(everything, now=START + 150), width=60)) <= 60


def test_what_is_not_drawn_is_counted():
    assert text(chart(total=1004))[0] == "acme/default/default  requests/s, UTC 2027-01-15  ← 1,000 earlier events"


rates = st.floats(0.01, 9e4)
events = st.builds(
    HistoryEvent,
    at=st.floats(START, START + 3e6),
    kind=st.sampled_from(KINDS),
    rate_before=rates,
    rate_after=rates,
    ceiling=st.just(0.0) | rates,
    cooldown_until=st.just(0.0) | st.floats(START, START + 4e6),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=12), rates, st.just(0.0) | rates, st.integers(60, 200))
def test_any_history_fits_any_terminal(events, rate_now, documented, width):
    _, *lines = text(chart(events, rate_now, START + 3e6, documented), width)
    assert all(cell_len(line) <= width for line in lines)
    assert 10 <= sum("│" in line for line in lines) <= 18
    assert f"now {shown_rate(rate_now)}" in "".join(lines)


@pytest.fixture
def on_a_terminal(aimd_process):
    def runs(*arguments, **environment):
        ours, theirs = pty.openpty()
        process = aimd_process(*arguments, stdout=theirs, env={"COLUMNS": "100", "TERM": "xterm", **environment})
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # Linux says so when the other end has been closed
            pass
        os.close(ours)
        assert process.wait() == 0
        return re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines(), process.stderr.read()

    return runs


def test_a_terminal_shows_the_chart_above_the_table(on_a_terminal, learned):
    lines, errors = on_a_terminal("limiter", "history", "notion", "--tenant", "default")
    assert lines[0] == "notion/default/default  requests/s, UTC 1970-01-01"
    assert any("█" in line and "now 4.50" in line for line in lines)
    assert [line.split()[2] for line in lines[-3:]] == ["start", "increase", "backoff"]
    assert errors == ""


def test_a_chart_shows_one_limiter(on_a_terminal, learned):
    lines, errors = on_a_terminal("limiter", "history", "notion")
    assert not any("█" in line for line in lines)
    assert errors == "For a chart choose one limiter with --quota-key: acme, default.\n"


def test_a_terminal_without_unicode_gets_the_table(on_a_terminal, learned):
    lines, _ = on_a_terminal("limiter", "history", "gone", PYTHONIOENCODING="ascii")
    assert "start" in lines[-1]
    assert all(line.isascii() for line in lines)


def test_a_pipe_gets_the_table_alone(aimd, learned):
    assert aimd("limiter", "history", "gone").out.startswith("time (UTC)")

"""Showing a sync while it runs: lines for logs, bars for a terminal."""

import io
import sys

import pytest
from rich.console import Console

from flows.outcome import Chunk
from flows.progress import Bars, Lines, Listener, listener_for
from state.records import Counts


def at(listed, expected=0, complete=False):
    return Chunk(Counts(records=listed), complete=complete, listed=listed, expected=expected)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestLines:
    def test_the_first_page_and_the_end_are_always_said(self):
        out = io.StringIO()
        lines = Lines(out, every=3600)
        for chunk in (at(100, 1500), at(200, 1500), at(1400, 1500), at(1500, 1500, complete=True)):
            lines.page("users", chunk, lambda: 2.0)
        assert out.getvalue().splitlines() == [
            "users: 100 of about 1,500 records, 2 requests/s",
            "users: 1,500 records, 2 requests/s, complete",
        ]

    def test_each_stream_by_itself(self):
        out = io.StringIO()
        lines = Lines(out, every=3600)
        lines.page("users", at(100), lambda: 2.0)
        lines.page("pages", at(100), lambda: 2.3456)
        lines.page("users", at(200), lambda: 2.0)
        assert out.getvalue().splitlines() == [
            "users: 100 records, 2 requests/s",
            "pages: 100 records, 2.35 requests/s",
        ]

    def test_every_page_if_that_is_wanted(self):
        out = io.StringIO()
        lines = Lines(out, every=0)
        for n in range(5):
            lines.page("users", at(n), lambda: 1.0)
        assert len(out.getvalue().splitlines()) == 5

    def test_lines_of_threads_do_not_mix(self, in_threads):
        out = io.StringIO()
        lines = Lines(out, every=0)

        def work(stream):
            for n in range(200):
                lines.page(stream, at(n), lambda: 1.0)

        in_threads(lambda: work("users"), lambda: work("pages"))
        said = out.getvalue().splitlines()
        assert len(said) == 400
        assert all(line.endswith(" records, 1 requests/s") for line in said)

    def test_a_reader_that_has_gone_does_not_stop_the_sync(self):
        class Gone(io.StringIO):
            def write(self, text):
                raise BrokenPipeError

        closed = io.StringIO()
        closed.close()
        for out in (Gone(), closed):
            with Lines(out, every=0) as lines:
                lines.page("users", at(1), lambda: 1.0)
                lines.page("users", at(2, complete=True), lambda: 1.0)


class TestBars:
    def shown(self, *pages):
        out = io.StringIO()
        console = Console(force_terminal=True, file=out, width=100, color_system=None, legacy_windows=False)
        with Bars(console) as bars:
            for stream, chunk, rate in pages:
                bars.page(stream, chunk, lambda rate=rate: rate)
            bars._progress.refresh()
        return out.getvalue()

    def test_a_bar_a_stream_with_its_count_and_the_rate(self):
        text = self.shown(("users", at(100, 250), 2.0), ("pages", at(7), 2.3456), ("users", at(200, 250), 2.5))
        last = text.rsplit("users", 1)[1]
        assert "200/250" in last
        assert "2.5 requests/s" in last
        assert "pages" in last
        assert "7/?" in last

    def test_a_complete_stream_is_full(self):
        last = self.shown(("users", at(100, 250), 2.0), ("users", at(240, 250, complete=True), 2.0)).rsplit("users", 1)[
            1
        ]
        assert "240/240" in last

    def test_more_than_expected_is_no_more_than_full(self):
        assert "300/300" in self.shown(("users", at(300, 250), 2.0))

    def test_the_cursor_is_given_back(self):
        text = self.shown(("users", at(1), 1.0))
        assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h"), "hidden, then shown again"

    def test_also_after_a_failure(self):
        out = io.StringIO()
        with pytest.raises(KeyboardInterrupt), Bars(Console(force_terminal=True, file=out)):
            raise KeyboardInterrupt
        assert "\x1b[?25h" in out.getvalue()

    def test_pages_may_come_from_many_threads(self, in_threads):
        console = Console(force_terminal=True, file=io.StringIO(), width=100)
        with Bars(console) as bars:
            in_threads(*[lambda: [bars.page("users", at(n), lambda: 1.0) for n in range(50)]] * 4)
            assert len(bars._progress.tasks) == 1


class TestChoosing:
    def test_bars_for_a_terminal(self):
        assert isinstance(listener_for(Terminal()), Bars)

    def test_lines_for_everything_else(self):
        assert isinstance(listener_for(io.StringIO()), Lines)

    def test_standard_error_unless_told_otherwise(self, monkeypatch):
        monkeypatch.setattr(sys, "stderr", Terminal())
        assert isinstance(listener_for(), Bars)
        out = io.StringIO()
        monkeypatch.setattr(sys, "stderr", out)
        listener_for().page("users", at(1), lambda: 1.0)
        assert out.getvalue() == "users: 1 records, 1 requests/s\n"

    def test_nobody_listens_without_a_word(self):
        with Listener() as nobody:
            assert nobody.page("users", at(1), lambda: 1.0) is None

"""RESULTS.md: each part keeps its date until it is measured again."""

from datetime import date

import pytest

from benchmarks import __main__, picture, results
from benchmarks.tables import cells_of, table

TEXT = f"""\
COST OF A REQUEST (this machine)
In a temporary folder.
Medians of 7 rounds.

{table([["", "p50 us", "who"], ["memory store", "15.3", "we"], ["a | b", "-", ""]])}

A SECOND TABLE
{table([["x", "y"], ["1", "2"]])}
"""
WHERE = "a machine"


def test_a_report_becomes_markdown():
    assert results.part(TEXT, where=WHERE, on=date(2026, 11, 25)) == (
        "## Cost of a request (this machine)\n\n"
        "*2026-11-25; a machine*\n\n"
        "In a temporary folder.  \nMedians of 7 rounds.\n\n"
        "|  | p50 us | who |\n| --- | ---: | --- |\n| memory store | 15.3 | we |\n| a / b | - |  |\n\n"
        "### A second table\n\n"
        "| x | y |\n| --- | ---: |\n| 1 | 2 |\n"
    )


def test_only_the_part_that_was_measured_changes(tmp_path):
    path, names = tmp_path / "RESULTS.md", ["learning", "cost", "random"]
    results.update(path, {"random": "## Random\n", "learning": "## Learning\n\nold\n"}, names)
    first = path.read_text()
    results.update(path, {"cost": "## Cost\n"}, names)
    assert path.read_text() == first.replace(
        "<!-- part: random -->", "<!-- part: cost -->\n\n## Cost\n\n<!-- part: random -->"
    )
    results.update(path, {"learning": "## Learning\n\nnew\n"}, names)
    results.update(path, {}, names)
    text = path.read_text()
    assert text.count("<!-- part:") == 3
    assert "old" not in text
    assert text.index("new") < text.index("## Cost") < text.index("## Random")


def test_the_machine_is_told_without_its_name_or_a_path():
    import platform

    told = results.machine()
    assert platform.python_version() in told
    assert platform.node() not in told
    assert "/" not in told.replace("/s", "")


@pytest.mark.parametrize("rows", [[["a", "b"], ["", "1"]], [["a b", "c"], ["d", ""], ["e f g", "1.0"]]])
def test_a_table_can_be_read_back(rows):
    assert cells_of(table(rows).splitlines()) == rows


def test_words_are_no_table():
    assert cells_of(["Some words of a legend,", "and more of them."]) is None
    assert cells_of(["one line  of them"]) is None


def test_each_part_goes_to_the_file_that_was_named(tmp_path, monkeypatch, capsys):
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(__main__.learning, "report", lambda seeds, callers: f"LEARNING\nseeds {seeds}, {callers}")
    __main__.main(["--only", "learning", "--results", str(path), "--seeds", "7", "--callers", "64"])
    assert "seeds (7,), 64" in capsys.readouterr().out
    assert "## Learning" in path.read_text()
    assert "seeds (7,), 64" in path.read_text()


def test_the_picture_shows_both_and_each_refusal(tmp_path):
    path = tmp_path / "picture.svg"
    assert "picture.svg" in picture.report(1, path)
    svg = path.read_text()
    ours, theirs = picture.run(1)
    assert svg.count("<circle") == len(ours.log.rejected) + len(theirs.log.rejected)
    assert len(ours.log.rejected) < len(theirs.log.rejected)
    for words in ("hidden limit 5", "prefect-aimd", "textbook AIMD", "prefers-color-scheme:dark"):
        assert words in svg
    assert "<script" not in svg

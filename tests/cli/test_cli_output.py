import json
import os
import pty
import subprocess

import pytest
import typer
from rich.console import Group

from flows.cli import output
from flows.cli.output import Exit, emit, fail, friendly, render, table
from limiter import ConfigurationError, Terminal, Throttled, WaitTooLong
from state.errors import DatabaseBusy, DatabaseCorrupt, DatabaseReadOnly, SchemaTooNew


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("why"), Exit.USAGE),
        (DatabaseCorrupt("why"), Exit.USAGE),
        (DatabaseReadOnly("why"), Exit.USAGE),
        (SchemaTooNew("why"), Exit.USAGE),
        (DatabaseBusy("why"), Exit.INCOMPLETE),
        (Terminal("why"), Exit.INCOMPLETE),
        (Throttled("why"), Exit.TRY_LATER),
        (WaitTooLong("why"), Exit.TRY_LATER),
    ],
)
def test_what_a_user_can_cause_is_a_sentence_and_a_code(error, code, capsys):
    with pytest.raises(typer.Exit) as stopped, friendly(as_json=True):
        raise error
    captured = capsys.readouterr()
    assert stopped.value.exit_code == code
    assert captured.err == "why\n"
    assert json.loads(captured.out) == {"error": "why"}


@pytest.mark.parametrize("late", [Throttled("why"), KeyboardInterrupt()], ids=repr)
def test_what_fails_after_the_result_adds_no_second_value(late, capsys):
    def served() -> None:
        emit({"url": "http://127.0.0.1:4200"}, as_json=True)
        raise late

    with pytest.raises(typer.Exit) as stopped, friendly(as_json=True):
        served()
    captured = capsys.readouterr()
    assert stopped.value.exit_code in (Exit.TRY_LATER, Exit.INTERRUPTED)
    assert json.loads(captured.out) == {"url": "http://127.0.0.1:4200"}
    assert captured.err in ("why\n", "Stopped.\n")


def test_ctrl_c_is_130(capsys):
    with pytest.raises(typer.Exit) as stopped, friendly():
        raise KeyboardInterrupt
    assert stopped.value.exit_code == 130
    assert capsys.readouterr().out == ""


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), friendly(as_json=True):
        _ = 1 // 0


def test_a_failure_without_json_leaves_stdout_empty(capsys):
    with pytest.raises(typer.Exit), friendly():
        fail("No.", Exit.USAGE)
    assert capsys.readouterr() == ("", "No.\n")


def test_json_is_one_line_in_a_pipe_and_keeps_its_letters(capsys):
    emit({"name": "Zoë"}, as_json=True)
    assert capsys.readouterr().out == '{"name": "Zoë"}\n'


def test_json_escapes_what_the_encoding_of_stdout_lacks(aimd_process, database):
    aimd = aimd_process("limiter", "show", "zoë", "--json", env={"PYTHONIOENCODING": "ascii"})
    out, err = aimd.communicate()
    assert json.loads(out)["error"].startswith("There is no API 'zoë'")
    assert "Traceback" not in err


def test_a_table_escapes_what_the_encoding_of_stdout_lacks(aimd_process, collected):
    environment = {"PYTHONIOENCODING": "ascii"}
    out, err = aimd_process("evidence", "show", "notion", "users", "adb-2", env=environment).communicate()
    assert r"Zo\xeb" in out
    assert err == ""


def test_a_table_in_a_pipe_is_plain_and_aligned(capsys):
    render(Group(table(("name", "rate"), [("a", 1.5), ("longer", 12), ("none", None)], title="Rates"), "The end"))
    assert capsys.readouterr().out.splitlines() == [
        "Rates",
        "name    rate",
        "a        1.5",
        "longer    12",
        "none       -",
        "The end",
    ]


def test_a_long_cell_is_not_cut_in_a_pipe(capsys):
    render(table(("name",), [("x" * 500,)]))
    assert "x" * 500 in capsys.readouterr().out


def test_a_vendors_text_steers_neither_the_terminal_nor_the_layout(capsys):
    render(table(("name",), [("[bold]a[/bold] \x1b[31m\n:smile:",)]))
    assert capsys.readouterr().out.splitlines()[1] == "[bold]a[/bold] \ufffd[31m\ufffd:smile:"


def test_a_moment_is_utc_and_zero_is_never():
    assert output.moment(0.0) is None
    assert output.moment(1_767_225_600.0) == "2026-01-01 00:00:00"
    assert output.moment(1e300) == "9999-12-31 23:59:59"


def on_a_terminal(aimd_process, *arguments, answer=b""):
    """What a command writes on a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    process = aimd_process(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, text=False, env={"TERM": "xterm"})
    os.close(theirs)
    os.write(ours, answer)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # EIO: the other side is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    return seen.decode(), process.wait()


def test_a_terminal_gets_a_ruled_table_and_json_that_is_still_json(aimd_process, learned):
    seen, code = on_a_terminal(aimd_process, "limiter", "list")
    assert code == 0
    assert "──" in seen
    seen, code = on_a_terminal(aimd_process, "limiter", "list", "--json")
    assert code == 0
    assert {row["api"] for row in json.loads(seen)} == {"notion", "gone"}


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, 2), (b"\x04", 1, 2), (b"y\n", 0, 0)])
def test_a_terminal_is_asked_before_anything_is_forgotten(aimd_process, learned, aimd, answer, code, left):
    seen, ended = on_a_terminal(aimd_process, "limiter", "reset", "notion", answer=answer)
    assert ended == code
    assert "4.5 requests/s" in seen
    assert "Forget it?" in seen
    assert len(aimd("limiter", "show", "notion", "--json").json) == left


def test_a_reader_that_has_seen_enough_leaves_no_traceback(aimd_process, database, learned):
    reading, writing = os.pipe()
    os.close(reading)  # a reader that is gone before the first byte, as `head` is after its last
    with os.fdopen(writing, "wb") as pipe:
        process = aimd_process("limiter", "history", "notion", stdout=pipe)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err == ""


def test_head_takes_what_it_wants(aimd_process, learned):
    process = aimd_process("limiter", "history", "notion")
    head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, text=True, check=True)
    process.stdout.close()
    assert head.stdout.startswith("time")
    assert process.stderr.read() == ""

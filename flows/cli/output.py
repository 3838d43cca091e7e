"""How commands print: results to stdout, sentences to stderr, and never a traceback for what a user can cause.

A result is one JSON value with `--json`, a rich table on a terminal, and plain aligned text in a pipe.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flows import words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else.")]
"""The option that every command has."""

_answered: ContextVar[bool] = ContextVar("aimd_answered", default=False)
"""Whether the command has printed its JSON value, so that what fails after it adds no second one."""
_WIDE = 10_000
"""Columns of a pipe: nothing is wrapped or cut for a program that reads lines."""


class Exit(IntEnum):
    """Exit codes of `aimd`."""

    DONE = 0
    INCOMPLETE = 1
    """Could not do all of it; said which part."""
    USAGE = 2
    """Wrong usage or configuration; nothing was attempted."""
    TRY_LATER = 75
    """It will work later; the message says when."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C."""


def emit(value: Any, *, as_json: bool, table: Callable[[], RenderableType] | None = None) -> None:
    """Print a result on stdout.

    Args:
        value: What `--json` prints; it must be JSON as it is. Without a table it is printed for people too.
        as_json: Whether to print JSON. An empty list is printed as nothing else; say why it is empty.
        table: Makes what people see, a rich renderable; called only if it is wanted. Square brackets in strings are
            text: where style is wanted, use `rich.text.Text`.

    Raises:
        BrokenPipeError: The reader has gone; `friendly` turns it into an exit code.

    Example:
        >>> emit([{"api": "notion"}], as_json=True)
        [{"api": "notion"}]
    """
    if as_json or table is None:
        indent = 2 if sys.stdout.isatty() or not as_json else None
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(json.dumps(value, indent=indent, ensure_ascii=not unicode, allow_nan=False))  # noqa: T201
    elif value != []:
        render(table())
    _answered.set(True)
    sys.stdout.flush()  # here and not at the interpreter's end, where a closed pipe can no longer be caught


def render(what: RenderableType) -> None:
    """Print a rich renderable on stdout; in a pipe without boxes, colours, wrapping or trailing spaces."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console(markup=False, highlight=False, emoji=False).print(what)
        return
    paper = io.StringIO()
    Console(file=paper, width=_WIDE, color_system=None, markup=False, highlight=False, emoji=False).print(_plain(what))
    for line in paper.getvalue().splitlines():
        print(line.rstrip())  # noqa: T201


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, gives: str = ""
) -> Table:
    """A table in the style of the others. Columns of which every value is a number stand to the right.

    Args:
        columns: The headings.
        rows: The cells: numbers as they are, None as a dash, the rest as `str` makes it, without control characters.
        title: Stands above it.
        gives: The heading of the column that is folded where the terminal is too narrow; any of them if none is named.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    cells = [list(row) for row in rows]
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title=title)
    made.title_justify = "left"
    for index, heading in enumerate(columns):
        present = [row[index] for row in cells if row[index] is not None]
        numeric = bool(present) and all(_is_number(value) for value in present)
        keeps = bool(gives) and heading != gives
        made.add_column(heading, justify="right" if numeric else "left", overflow="fold", no_wrap=keeps)
    for row in cells:
        made.add_row(*(_cell(value) for value in row))
    return made


def say(sentence: str) -> None:
    """Tell the person something that is not the result: on stderr, so that stdout stays what was asked for."""
    with contextlib.suppress(BrokenPipeError):
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201


class Failed(typer.Exit):
    """The end of a command that `fail` has explained on stderr."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(code)
        self.message = message


def fail(message: str, code: Exit = Exit.INCOMPLETE) -> NoReturn:
    """End the command with a sentence on stderr; within `friendly(as_json=True)`, JSON if stdout is still empty.

    Raises:
        Failed: Always; a `typer.Exit`.
    """
    say(message)
    raise Failed(message, code)


@contextlib.contextmanager
def friendly(as_json: bool = False) -> Iterator[None]:
    """Turn everything a user can cause into a sentence and an exit code. Bugs keep their traceback.

    Configuration and a database that cannot be used give 2, a database that failed on the way 1, a vendor that asks
    to wait 75, another refusal of the vendor 1, Ctrl-C 130, a reader of stdout that has gone 1 without a word.

    Args:
        as_json: Whether stdout must hold one JSON value in any case: the result, or else `{"error": ...}`.

    Example:
        >>> from state.errors import DatabaseUnavailable
        >>> try:
        ...     with friendly(as_json=True):
        ...         raise DatabaseUnavailable("No database there.")
        ... except typer.Exit as stop:
        ...     int(stop.exit_code)
        {"error": "No database there."}
        2
    """
    _answered.set(False)
    try:
        try:
            with _explained():
                yield
        except Failed as failure:
            if as_json and not _answered.get():
                emit({"error": failure.message}, as_json=True)
            raise
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, and would complain about the same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.INCOMPLETE) from None


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        fail("Stopped.", Exit.INTERRUPTED)
    except Exception as error:
        code = _code(error)
        if code is None:
            raise
        fail(str(error), code)


def write_file(path: Path, text: str) -> None:
    """Write a file that the user has named; if that cannot be, end with a sentence and 2."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"Cannot write {path}: {error.strerror}.", Exit.USAGE)


def epilog(*examples: str, codes: str = "") -> str:
    """What stands under a command's help.

    Args:
        examples: Command lines.
        codes: What the exit codes mean, where there is more to say than that 0 is done and 2 wrong usage.
    """
    lines = ["Example:" if len(examples) == 1 else "Examples:", *(f"  {example}" for example in examples)]
    block = "\b\n" + "\n".join(lines)  # the backspace keeps a paragraph's lines as they are
    return f"{block}\n\nExit codes: {codes}" if codes else block


def moment(epoch: float) -> str | None:
    """Epoch seconds as a time in UTC (the heading says so), None for 0.0, which stands for never."""
    return words.moment(epoch) if epoch else None


def rate(requests_per_second: float) -> float | None:
    """A rate to three figures for a table, None for 0.0, which stands for not known."""
    return float(f"{requests_per_second:.3g}") if requests_per_second else None


def _code(error: Exception) -> Exit | None:
    if isinstance(error, typer.Exit | BrokenPipeError):
        return None
    from limiter.errors import ConfigurationError, TryLater, VendorError
    from state.errors import DatabaseBusy, DatabaseFull, ListingTaken, StateError

    match error:
        case TryLater():
            return Exit.TRY_LATER
        case VendorError() | DatabaseBusy() | DatabaseFull() | ListingTaken():
            return Exit.INCOMPLETE
        case ConfigurationError() | StateError():
            return Exit.USAGE
    return None


def _plain(what: RenderableType) -> RenderableType:
    """The same without boxes."""
    from rich.console import Group
    from rich.table import Table

    if isinstance(what, Table):
        what.box, what.padding = None, (0, 2, 0, 0)
    elif isinstance(what, Group):
        return Group(*(_plain(part) for part in what.renderables))
    return what


def _cell(value: object) -> str:
    text = "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    # A vendor's text must not steer the terminal it is shown on.
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

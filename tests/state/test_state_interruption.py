"""An interruption, at each of the moments at which Python lets one come, takes neither the file nor a turn with it.

Ctrl-C in a notebook is one, and what ends a task of Prefect's at its `timeout_seconds` in a thread.
"""

from __future__ import annotations

import dis
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from state_listing import sync
from state_worker import added

from state import Bucket, open_store, patience
from state.records import Collection
from state.store import Store
from state.tokens import TokenKey
from state.turns import Turns

NOTION, PAGES = Bucket("notion"), Collection("notion", "pages")
CALLS = {number for name, number in dis.opmap.items() if name.startswith("CALL")}


class Interruption:
    """Comes at the n-th moment, as a trace function: when a function has begun, or a call has ended.

    Not in `threading`, whose condition can be left locked whatever we do.
    """

    def __init__(self, at: int) -> None:
        self.left = at
        self.last: dict[FrameType, int] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> Interruption | None:
        if frame.f_code.co_filename in (__file__, threading.__file__):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "call" or (event == "opcode" and self.last.get(frame) in CALLS):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        self.last[frame] = frame.f_code.co_code[frame.f_lasti]
        return self


def interrupted(work: Callable[[], Any], at: int) -> bool:
    """Whether the work took long enough to be interrupted there. What it raised is gone, with its traceback."""
    interruption = Interruption(at)
    with suppress(KeyboardInterrupt, AssertionError):  # SQLAlchemy's, where it finds itself in the middle of something
        sys.settrace(interruption)
        try:
            work()
        finally:
            sys.settrace(None)
    interruption.last.clear()
    return interruption.left <= 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.05)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def limiter(store: Store) -> int:
    return store.transact(NOTION, added)


def evidence(store: Store) -> None:
    sync(store.evidence, PAGES, [[(str(n), n) for n in range(3)]])


def tokens(store: Store) -> None:
    store.tokens.transact(TokenKey("https://acme.test", "ann"), lambda row, now: (row, None))


@pytest.mark.usefixtures("impatient")
@pytest.mark.filterwarnings(
    "ignore:transaction already deassociated", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("work", "every"), [(limiter, 1), (evidence, 20), (tokens, 5)])
def test_one_leaves_the_file_free_for_others_and_for_the_next(
    store: Store, path: Path, work: Callable[[Store], Any], every: int
) -> None:
    work(store)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        for at in count(1, every):
            if not interrupted(lambda: work(store), at):
                break
            other.execute("BEGIN IMMEDIATE")
            other.execute("COMMIT")
            work(store)
    assert at > 50
    if work is limiter:
        assert store.read(NOTION)[0].delivered == store.history_length(NOTION) >= at


@pytest.mark.usefixtures("impatient")
def test_one_loses_no_turn() -> None:
    turns = Turns("sqlite:///aimd.db")

    def take() -> None:
        with turns.turn():
            pass

    for at in count(1):
        if not interrupted(take, at):
            break
        take()
    assert at > 5

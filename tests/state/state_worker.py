"""Processes that work on a database, and the handle by which a test holds each of them.

    count URL API N         adds 1 to a limiter N times; tells each number it has reached
    collect URL TENANT N    stores N pages of a listing; tells each page that is stored
    upgrade URL N           is killed right before the N-th statement of the upgrade
    open URL                opens the store and closes it
    hold URL                takes the write lock and keeps it until it is let go

A worker waits for `go`, so that several begin at once. What it has told was acknowledged by the database.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import Engine, event

import state.sql  # each worker would import it again
import state.sqlite  # noqa: F401
from state import Bucket, Decision, HistoryEvent, LimiterState, open_store
from state.canonical import body
from state.records import Collection, Provenance

# Each worker is forked from a process that has imported this module and opened nothing: the import takes longer than
# most of what workers do.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


@contextmanager
def workers_at_hand() -> Iterator[None]:
    """Start what the workers are forked from, which does not know pytest's way to find this module."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, [Path(__file__).parent, *Path(__file__).parents[2:3]]))
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    yield


class Worker:
    """A worker, seen from the test."""

    def __init__(self, task: str, *arguments: object) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_work, args=(theirs, task, *map(str, arguments)))
        self._process.start()
        theirs.close()
        self.told: list[int] = []

    def go(self) -> None:
        """Let it begin."""
        self._pipe.send("go")

    def hear(self) -> bool:
        """Wait for the next thing it tells; False if it has ended."""
        try:
            self.told.append(self._pipe.recv())
        except (EOFError, OSError):  # the latter if it was killed in the middle of a word
            return False
        return True

    def kill(self) -> int:
        """SIGKILL. What it had told before is heard."""
        self._process.kill()
        return self.end()

    def let_go(self) -> int:
        """Tell it that it may end, and see it end."""
        self._pipe.send("end")
        return self.end()

    def end(self) -> int:
        """See it end by itself; gives its exit status."""
        while self.hear():
            pass
        self._pipe.close()
        self._process.join(timeout=60)
        return self._process.exitcode


def added(state: LimiterState | None, now: float) -> Decision[int]:
    """One more; each is told in the history, too."""
    before = state or LimiterState(rate=1.0)
    after = replace(before, delivered=before.delivered + 1)
    return Decision(after, after.delivered, (HistoryEvent(now, "increase", before.delivered, after.delivered),))


def _count(pipe: Connection, url: str, api: str, times: str) -> None:
    with open_store(url) as store:
        pipe.recv()
        for _ in range(int(times)):
            pipe.send(store.transact(Bucket(api), added))


def _collect(pipe: Connection, url: str, tenant: str, pages: str) -> None:
    collection = Collection("notion", "users", tenant)
    where_from = Provenance("https://api.notion.com/v1", "-", "run")
    with open_store(url) as store:
        pipe.recv()
        cursor = store.evidence.begin_listing(collection, full=True)
        for page in range(int(pages)):
            before = cursor.listing
            after = replace(before, page_cursor=str(page + 1), pages=page + 1)
            bodies = [body(f"{page}-{n}", {"page": page, "n": n, "text": "x" * 2000}) for n in range(10)]
            _, cursor = store.evidence.commit_page(
                collection, bodies, where_from, before=before, after=after, ends=False
            )
            pipe.send(page)


def _upgrade(pipe: Connection, url: str, statements: str) -> None:
    left = int(statements)

    @event.listens_for(Engine, "before_cursor_execute")
    def count_down(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _open(pipe, url)


def _open(pipe: Connection, url: str) -> None:
    pipe.recv()
    open_store(url).close()


def _hold(pipe: Connection, url: str) -> None:
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    pipe.recv()
    connection.execute("BEGIN IMMEDIATE")
    pipe.send(1)
    pipe.recv()
    connection.execute("ROLLBACK")


_TASKS = {"count": _count, "collect": _collect, "upgrade": _upgrade, "open": _open, "hold": _hold}


def _work(pipe: Connection, task: str, *arguments: str) -> None:
    _TASKS[task](pipe, *arguments)

"""A process that works on a database, and the handle by which a test holds it.

    python state_worker.py count URL API N           adds 1 to a limiter N times; prints each number it has reached
    python state_worker.py collect URL TENANT N      stores N pages of a listing; prints each page that is stored
    python state_worker.py upgrade URL N             is killed right before the N-th statement of the upgrade
    python state_worker.py open URL                  opens the store and closes it
    python state_worker.py hold URL                  takes the write lock and keeps it until stdin ends

A worker prints `ready` and waits for a line before it begins, so that several begin at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine, event

from state import Bucket, Decision, HistoryEvent, LimiterState, open_store
from state.canonical import body
from state.records import Collection, Provenance


class Worker:
    """A worker, seen from the test."""

    def __init__(self, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.said: list[str] = []
        """What it has told, line by line: what is in here was acknowledged."""

    def go(self) -> None:
        """Let it begin, once it is ready."""
        assert self.hear() == "ready", self.errors()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Its next line; the empty string if it has ended."""
        line = self._process.stdout.readline().rstrip("\n")
        self.said += [line] if line else []
        return line

    def kill(self) -> None:
        """SIGKILL, and what it had told before."""
        self._process.kill()
        self.end()

    def end(self) -> int:
        """Let it come to its end; gives its exit status."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        while self.hear():
            pass
        return self._process.wait(timeout=60)

    def errors(self) -> str:
        return self._process.stderr.read()


def added(state: LimiterState | None, now: float) -> Decision[int]:
    """One more; each is told in the history, too."""
    before = state or LimiterState(rate=1.0)
    after = replace(before, delivered=before.delivered + 1)
    return Decision(after, after.delivered, (HistoryEvent(now, "increase", before.delivered, after.delivered),))


def _tell(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _count(url: str, api: str, times: str) -> None:
    with open_store(url) as store:
        _begin()
        for _ in range(int(times)):
            _tell(store.transact(Bucket(api), added))


def _collect(url: str, tenant: str, pages: str) -> None:
    collection = Collection("notion", "users", tenant)
    with open_store(url) as store:
        _begin()
        cursor = store.evidence.begin_listing(collection, full=True)
        for page in range(int(pages)):
            before = cursor.listing
            after = replace(before, page_cursor=str(page + 1), pages=page + 1)
            bodies = [body(f"{page}-{n}", {"page": page, "n": n, "text": "x" * 2000}) for n in range(10)]
            where_from = Provenance("https://api.notion.com/v1", "-", "run")
            _, cursor = store.evidence.commit_page(
                collection, bodies, where_from, before=before, after=after, ends=False
            )
            _tell(page)


def _upgrade(url: str, statements: str) -> None:
    left = int(statements)

    @event.listens_for(Engine, "before_cursor_execute")
    def count_down(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _begin()
    open_store(url).close()


def _open(url: str) -> None:
    _begin()
    open_store(url).close()
    _tell("opened")


def _hold(url: str) -> None:
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    _begin()
    _tell("held")
    sys.stdin.read()


def _begin() -> None:
    _tell("ready")
    sys.stdin.readline()


if __name__ == "__main__":
    {"count": _count, "collect": _collect, "upgrade": _upgrade, "open": _open, "hold": _hold}[sys.argv[1]](
        *sys.argv[2:]
    )

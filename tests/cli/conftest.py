"""The command line in this process and in one of its own, and a database with something in it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.cli import run
from state import Bucket, Decision, HistoryEvent, LimiterState, open_store
from state.canonical import body
from state.records import Collection, Provenance

USERS = Collection("notion", "users")
ROWS = Collection("notion", "rows", partition='{"data_source":"d1"}')
PROVENANCE = Provenance("https://api.notion.com/v1", "sha256:0011", "run-1")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON value that stdout must be."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch) -> Path:
    """The default database of every command: a file that is not there yet."""
    path = tmp_path / "state" / "aimd.db"
    monkeypatch.setenv("AIMD_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def aimd(capsys):
    """Run a command in this process, its stdout a pipe."""

    def runs(*arguments: str) -> Result:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return runs


@pytest.fixture
def aimd_process():
    """Start a command in a process of its own; the environment is this one's with changes. Ended with the test."""
    started = []

    def starts(*arguments: str, **popen) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONUNBUFFERED": "", **popen.pop("env", {})}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [sys.executable, "-m", "flows.cli", *arguments]
        process = subprocess.Popen(command, env=environment, **{**options, **popen})
        started.append(process)
        return process

    yield starts
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def learned(database):
    """Two limiters of notion and one of an API that no configuration knows."""

    def remember(store, bucket, state, *events):
        store.transact(bucket, lambda _found, _now: Decision(state, None, events))

    with open_store(f"sqlite:///{database}") as store:
        remember(
            store,
            Bucket("notion"),
            LimiterState(rate=4.5, ceiling=5.0, throttles=3, updated_at=1000.0),
            HistoryEvent(100.0, "start", 2.0, 2.0),
            HistoryEvent(110.0, "increase", 2.0, 5.0),
            HistoryEvent(120.0, "backoff", 5.0, 4.5, 5.0, 2.0, 429, 122.0, "run-1"),
        )
        remember(
            store,
            Bucket("notion", quota_key="acme"),
            LimiterState(rate=1.25, updated_at=1000.0),
            HistoryEvent(105.0, "start", 1.25, 1.25),
        )
        remember(
            store, Bucket("gone"), LimiterState(rate=9.0, updated_at=1000.0), HistoryEvent(90.0, "start", 9.0, 9.0)
        )
    return database


@pytest.fixture
def collected(database):
    """Two users of whom one has two versions, and a row of a data source with the same id as a user."""

    def page(store, collection, *records):
        listing = store.evidence.begin_listing(collection, full=False).listing
        bodies = [body(record["id"], record) for record in records]
        store.evidence.commit_page(collection, bodies, PROVENANCE, before=listing, after=listing, ends=True)

    with open_store(f"sqlite:///{database}") as store:
        page(store, USERS, {"id": "ada-1", "name": "Ada"}, {"id": "adb-2", "name": "Zoë [bold] \x1b[31m"})
        page(store, USERS, {"id": "ada-1", "name": "Ada L."})
        page(store, ROWS, {"id": "row-1", "name": "First"})
    return database

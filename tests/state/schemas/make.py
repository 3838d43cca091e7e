"""Writes down a database of the schema that this checkout has: `python make.py`, from this folder.

Run once for each released schema, with that release checked out and before the next migration is added; what it writes
is kept and never written again. A dump tells what the release made of its migrations, whatever is made of them later.

    000N.sqlite.sql        of SQLite's own dump
    000N.postgresql.sql    of `pg_dump --inserts`
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

import real_postgres  # noqa: E402
from sqlalchemy.engine import make_url  # noqa: E402
from state_listing import WHERE_FROM, sync  # noqa: E402

from state import Bucket, Decision, HistoryEvent, LimiterState, open_store, schema  # noqa: E402
from state.records import Collection, SyncRun  # noqa: E402
from state.tokens import TokenKey, VendorToken  # noqa: E402

BEGAN = 1_700_000_000.25


def fill(url: str) -> None:
    """A row or more of everything: what a month of nights leaves, in little."""
    now = BEGAN

    def clock() -> float:
        return now

    with open_store(url, clock=clock) as store:
        for number, bucket in enumerate([Bucket("notion"), Bucket("vanta", quota_key="acme")], 1):
            learned = LimiterState(rate=3.5 * number, ceiling=4.25, throttles=7, updated_at=now, delivered=12)
            for kind in ("start", "increase", "backoff", "cooldown", "recovered"):
                now += 1.5
                learned = replace(learned, next_slot=now, cooldown_until=now + 30.5)
                event = HistoryEvent(now, kind, 3.0, 3.5 * number, 4.25, 12.5, 429, now + 30.5, f"run-{number}")
                decision = Decision(learned, None, (event,))
                store.transact(bucket, lambda _before, _now, decision=decision: decision)
        pages, rows = Collection("notion", "pages", "acme"), Collection("notion", "rows", "acme", '{"data_source":"x"}')
        sync(store.evidence, pages, [[("a", 1), ("b", "ü 😀")], [("c", None)]], candidate="2023-11-14T22:13:20Z")
        now += 86_400.0
        sync(store.evidence, pages, [[("a", 2)], [("c", None)]])  # a changed, b gone
        sync(store.evidence, rows, [[("r1", {"deep": [1.5]})]])
        store.evidence.begin_listing(Collection("vanta", "people", "acme"), full=True)
        asked = {"streams": ["pages", "rows"], "params": {"data_source": "x"}, "full": False}
        run = SyncRun(WHERE_FROM.run_id, "flow-run-1", "notion", "acme", now, None, "running", asked, outcome={})
        store.evidence.begin_run(run)
        now += 4.0
        store.evidence.end_run(run.id, state="complete", outcome={"requests": 4})
        token = VendorToken(3, b"sealed", now, now + 3_500.0, mints=(now - 20.5, now))
        store.tokens.transact(TokenKey("https://api.vanta.com/oauth/token", "client-1"), lambda *_: (token, None))


def sqlite_dump(folder: Path) -> str:
    path = folder / "aimd.db"
    fill(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def postgres_dump() -> str:
    with real_postgres.started() as server, real_postgres.own_schema(server.url) as url:
        fill(url)
        name = make_url(url).query["options"].partition("=")[2]
        command = [server._real.bin_path / "pg_dump", "--inserts", "--no-owner", "--schema", name, server.url]
        dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Without what belongs to the server that it was made on; a test gives it a schema of its own.
    lines = [line for line in dump.replace(f"{name}.", "").splitlines() if line and not line.startswith("--")]
    return "\n".join(line for line in lines if not re.match(r"\\|SET |CREATE SCHEMA|SELECT .*search_path", line)) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        (HERE / f"{schema.HEAD}.sqlite.sql").write_text(sqlite_dump(Path(scratch)))
    (HERE / f"{schema.HEAD}.postgresql.sql").write_text(postgres_dump())

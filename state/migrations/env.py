"""Runs the migrations on the connection that `state.schema` hands over, inside its transaction."""

from alembic import context

from state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    # Off by default for SQLite, though SQLite can. Alembic finds the caller's transaction and leaves it to the caller
    # to commit, so a kill leaves the old schema or the new one, whole.
    transactional_ddl=True,
)
context.run_migrations()

"""Alembic migrations, applied by `state.schema`."""

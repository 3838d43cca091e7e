"""What is collected has a number, so that the index of its versions grows at its end and not everywhere."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = ("source", "stream", "tenant", "partition", "external_id")
NUMBER = """
    INSERT INTO evidence_current (source, stream, tenant, "partition", external_id, version, sha256, deleted, seen_at)
    SELECT source, stream, tenant, "partition", external_id, version, sha256, deleted, seen_at FROM current_0002
    ORDER BY source, stream, tenant, "partition", external_id
"""
# LEFT: a version of what has no current one would stop the upgrade, and not be left out.
MOVE = """
    INSERT INTO evidence (
        id, record_id, source, stream, tenant, "partition", external_id,
        version, sha256, body, form, deleted, collected_at, base_url, credential, run_id
    )
    SELECT
        id, record_id, source, stream, tenant, "partition", external_id,
        old.version, old.sha256, body, form, old.deleted, collected_at, base_url, credential, run_id
    FROM evidence_0002 AS old LEFT JOIN evidence_current USING (source, stream, tenant, "partition", external_id)
    ORDER BY id
"""
GO_ON = "SELECT setval(pg_get_serial_sequence('evidence', 'id'), coalesce(max(id), 0) + 1, false) FROM evidence"


def upgrade() -> None:
    op.rename_table("evidence_current", "current_0002")
    op.create_table(
        "evidence_current",
        sa.Column("record_id", _id, nullable=False),
        *_key_columns(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("record_id"),
        sa.UniqueConstraint(*_KEY),
    )
    op.execute(NUMBER)
    op.drop_table("current_0002")

    # SQLite cannot take a constraint from a table: the rows move to a new one, as they are and under their ids.
    op.rename_table("evidence", "evidence_0002")
    op.create_table(
        "evidence",
        sa.Column("id", _id, nullable=False),
        sa.Column("record_id", _id, nullable=False),
        *_key_columns(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("collected_at", sa.Float(), nullable=False),
        sa.Column("base_url", sa.String(), nullable=False),
        sa.Column("credential", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["evidence_current.record_id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("record_id", "version"),
    )
    op.execute(MOVE)
    op.drop_table("evidence_0002")
    if op.get_context().dialect.name == "postgresql":  # the numbers that were given out are kept apart from the rows
        op.execute(GO_ON)


def _key_columns() -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in _KEY]

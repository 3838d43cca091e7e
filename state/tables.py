"""The tables. What they mean stands in `state.records`; how they came to be, in `state/migrations`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite gives a rowid only to a column of exactly this type.
_Id = BigInteger().with_variant(Integer(), "sqlite")


def _collection_columns() -> tuple[Column[str], ...]:
    return tuple(Column(name, String, nullable=False) for name in ("source", "stream", "tenant", "partition"))


limiter = Table(
    "limiter",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("api", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("quota_key", String, nullable=False),
    Column("rate", Float, nullable=False),
    Column("ceiling", Float, nullable=False),
    Column("next_slot", Float, nullable=False),
    Column("cooldown_until", Float, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("throttles", BigInteger, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("learner", Text, nullable=False),
    UniqueConstraint("api", "scope", "quota_key"),
)

# Integers and a clustered key: seven times smaller than text columns with an index.
limiter_history = Table(
    "limiter_history",
    metadata,
    Column("limiter_id", _Id, ForeignKey("limiter.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("rate_before", Float, nullable=False),
    Column("rate_after", Float, nullable=False),
    Column("ceiling", Float, nullable=False),
    Column("retry_after", Float),
    Column("status", Integer),
    Column("cooldown_until", Float, nullable=False),
    Column("run_id", LargeBinary),
    sqlite_with_rowid=False,
)

cursor = Table(
    "cursor",
    metadata,
    *(Column(c.name, String, primary_key=True) for c in _collection_columns()),
    Column("watermark", String),
    Column("completed_at", Float, nullable=False),
    Column("expected", BigInteger, nullable=False),
    Column("listing_began_at", Float),
    Column("listing_full", Boolean),
    Column("listing_page_cursor", Text),
    Column("listing_candidate", String),
    Column("listing_pages", BigInteger),
    Column("listing_records", BigInteger),
    sqlite_with_rowid=False,
)

sync_run = Table(
    "sync_run",
    metadata,
    Column("id", String, primary_key=True),
    Column("flow_run_id", String),
    Column("source", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("state", String, nullable=False),
    Column("asked", JSON, nullable=False),
    Column("outcome", JSON, nullable=False),
    Index("sync_run_by_start", "started_at"),
)

# Tells of itself what it is; `record_id` is a second name for it, short and ever growing: where ids are in no order,
# the index of all versions would be written all over for every page.
evidence = Table(
    "evidence",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("record_id", _Id, ForeignKey("evidence_current.record_id"), nullable=False),
    *_collection_columns(),
    Column("external_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("form", String, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("collected_at", Float, nullable=False),
    Column("base_url", String, nullable=False),
    Column("credential", String, nullable=False),
    Column("run_id", String, nullable=False),
    UniqueConstraint("record_id", "version"),
)

# Which version of a thing is the current one, and which listing met it last. Derived from `evidence` but for
# `seen_at`; kept apart so that `evidence` is only ever added to.
evidence_current = Table(
    "evidence_current",
    metadata,
    Column("record_id", _Id, primary_key=True),
    *_collection_columns(),
    Column("external_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("seen_at", Float, nullable=False),
    UniqueConstraint("source", "stream", "tenant", "partition", "external_id"),
)

# One for each application whose tokens the programs share. The token itself is sealed: see `state.tokens`.
vendor_token = Table(
    "vendor_token",
    metadata,
    Column("issuer", String, primary_key=True),
    Column("client_id", String, primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("given_at", Float, nullable=False),
    Column("renew_at", Float, nullable=False),
    Column("lease", String, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("mints", JSON, nullable=False),
    sqlite_with_rowid=False,
)

"""The statements behind `state.sql`.

What runs twice for every request is compiled once and given to the driver as text; the rest goes through SQLAlchemy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Dialect,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement, Executable

from state import tables
from state.records import PUBLIC_FIELDS, HistoryEvent

_row, _events = tables.limiter, tables.limiter_history

of_bucket: ColumnElement[bool] = (
    (_row.c.api == bindparam("b_api"))
    & (_row.c.scope == bindparam("b_scope"))
    & (_row.c.quota_key == bindparam("b_quota_key"))
)
_columns = (_row.c.id, *(_row.c[name] for name in PUBLIC_FIELDS), _row.c.learner)

HISTORY = (
    select(*(_events.c[field.name] for field in fields(HistoryEvent)))
    .join(_row, _row.c.id == _events.c.limiter_id)
    .where(of_bucket)
    .order_by(_events.c.seq.desc())
    .limit(bindparam("b_limit"))
)
LENGTH = select(func.count()).select_from(_events.join(_row)).where(of_bucket)
LAST_SEQ = select(func.coalesce(func.max(_events.c.seq), 0)).where(_events.c.limiter_id == bindparam("b_id"))
FIRST_SEQ = select(func.coalesce(func.min(_events.c.seq), 0)).where(_events.c.limiter_id == bindparam("b_id"))
PRUNE = delete(_events).where(
    _events.c.limiter_id == bindparam("b_id"),
    _events.c.seq < bindparam("b_upto"),
    or_(_events.c.seq <= bindparam("b_too_many"), _events.c.at < bindparam("b_too_old")),
)
FORGET_HISTORY = delete(_events).where(_events.c.limiter_id == bindparam("b_id"))
FORGET = delete(_row).where(_row.c.id == bindparam("b_id"))


@dataclass(frozen=True, slots=True)
class Hot:
    """What runs for every request, in one database's SQL.

    Attributes:
        lock: A bucket's row, held until the end of the transaction: id, `PUBLIC_FIELDS`, learner, and the time on a
            database that has a clock.
        look: The same without a hold.
        write: A row by its id.
        claim: Makes a row that is no limiter yet, unless there is one.
    """

    lock: str
    look: str
    write: str
    claim: Executable


def compiled(dialect: Dialect) -> Hot:
    """The statements for a database.

    Args:
        dialect: An engine's.
    """
    write = update(_row).where(_row.c.id == bindparam("b_id"))
    write = write.values({name: bindparam(name) for name in (*PUBLIC_FIELDS, "learner")})
    look = lock = select(*_columns).where(of_bucket)
    insert = sqlite.insert
    if dialect.name == "postgresql":
        from state.postgres import MOMENT

        insert = postgresql.insert  # type: ignore[assignment]
        moment: ColumnClause[float] = literal_column(MOMENT)
        # Without MATERIALIZED the time could be one from before the wait for the row.
        held = select(*_columns).where(of_bucket).with_for_update().cte("held").prefix_with("MATERIALIZED")
        lock = select(*held.c, moment)
        look = select(*_columns, moment).where(of_bucket)

    def text(statement: ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    return Hot(text(lock), text(look), text(write), insert(_row).on_conflict_do_nothing())

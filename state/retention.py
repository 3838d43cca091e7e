"""How much history is kept, and how the rest goes: a little at a time, so that nobody waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from state import statements

DAYS = 400.0
"""A year, which is what an audit looks back on, and a month to look at it."""
ROWS = 100_000
"""Events of a bucket. Small increases are recorded together, so this is months of a busy one."""

EVERY = 64
"""So many events of a bucket are added between two looks at what may go."""
AT_ONCE = 1_000
"""So many go in one transaction, at most: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of a bucket's history.

    Attributes:
        days: Events older than this go.
        rows: Only the newest so many stay.
    """

    days: float = DAYS
    rows: int = ROWS

    @classmethod
    def of(cls, *, days: float | None, rows: int | None) -> Retention:
        """With the usual bounds in the place of those that are None."""
        return cls(DAYS if days is None else days, ROWS if rows is None else rows)

    def after(self, connection: Connection, row_id: int, before: int, last: int, now: float) -> None:
        """Let some go, now and then.

        Args:
            connection: In the transaction that added events.
            row_id: The limiter.
            before: The last `seq` before they were added.
            last: The last `seq` now.
            now: The time, epoch seconds.
        """
        if before // EVERY != last // EVERY:
            self.prune(connection, row_id, 0, now)

    def prune(self, connection: Connection, row_id: int, begin: int, now: float) -> tuple[int, int | None]:
        """Let the oldest go, of at most `AT_ONCE`.

        Args:
            connection: In a transaction.
            row_id: The limiter.
            begin: Where to begin: a `seq`.
            now: The time, epoch seconds.

        Returns:
            How many went, and where to go on; None if there is no more to do.
        """
        limiter = {"b_id": row_id}
        first = max(begin, connection.execute(statements.FIRST_SEQ, limiter).scalar_one())
        last = connection.execute(statements.LAST_SEQ, limiter).scalar_one()
        upto = min(first + AT_ONCE, last)  # the newest stays whatever its age: numbers go on from it
        bounds = {"b_upto": upto, "b_too_many": last - self.rows, "b_too_old": now - self.days * 86400}
        pruned = connection.execute(statements.PRUNE, {**limiter, **bounds}).rowcount
        return pruned, upto if pruned and upto < last else None

"""Shared tokens in SQL: locked for the length of one pure function, also while there is no row yet."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TypeVar

from sqlalchemy import Connection, insert, select, update

from state import engine as engines
from state import tables
from state.tokens import Decide, TokenKey, VendorToken
from state.transactions import Transactions

T = TypeVar("T")

_row = tables.vendor_token
_FIELDS = tuple(_row.c[each.name] for each in fields(VendorToken))


class SqlTokens(Transactions):
    """The shared tokens of one database; made from an engine with durability FULL."""

    def transact(self, key: TokenKey, decide: Decide[T]) -> T:
        """See `state.tokens.TokenStore.transact`."""

        def work(connection: Connection) -> T:
            of_key = (_row.c.issuer == key.issuer) & (_row.c.client_id == key.client_id)
            found = connection.execute(select(*_FIELDS).where(of_key)).one_or_none()
            before = VendorToken() if found is None else VendorToken(**{**found._mapping, "mints": tuple(found.mints)})
            # Only now, with the lock held: a time from before the wait for it would be too early.
            after, result = decide(before, engines.time_of(connection, self._clock))
            if after != before:
                values = {**asdict(after), "mints": list(after.mints)}
                statement = insert(_row).values(**asdict(key)) if found is None else update(_row).where(of_key)
                connection.execute(statement.values(**values))
            return result

        return self._write(work, key)

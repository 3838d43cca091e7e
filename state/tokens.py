"""Tokens that programs share because the vendor has one active token for each application: one row each.

This room keeps bytes and does not know what they mean: whoever writes them has sealed them (`flows.sealing`), and who
may ask the vendor for a token is decided by pure functions (`flows.minting`) within `transact`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from state import fork

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Whose token it is.

    Attributes:
        issuer: The address that gives it, without a password.
        client_id: Names the application there.
    """

    issuer: str
    client_id: str


@dataclass(frozen=True, slots=True)
class VendorToken:
    """The row of one application. Times are epoch seconds of the store's clock.

    Attributes:
        serial: Counts the answers of the vendor: it tells one token from the next without opening either.
        sealed: The vendor's last answer, encrypted; None before the first. Not in the repr.
        given_at: When it was given; 0.0 if it may not be the newest.
        renew_at: Nobody uses it from then on.
        lease: Who is asking for the next one; "" for nobody.
        lease_until: And until when the others wait for that one.
        mints: When the vendor was asked in the last minute, at the latest.
    """

    serial: int = 0
    sealed: bytes | None = field(default=None, repr=False)
    given_at: float = 0.0
    renew_at: float = 0.0
    lease: str = ""
    lease_until: float = 0.0
    mints: tuple[float, ...] = ()


Decide = Callable[[VendorToken, float], tuple[VendorToken, T]]
"""A pure function of the row (an empty one before the first) and the store's time: the new row, and a result."""


class TokenStore(Protocol):
    """Where shared tokens are kept."""

    def transact(self, key: TokenKey, decide: Decide[T]) -> T:
        """Lock a row, apply a pure function, write what came of it.

        Args:
            key: Which row.
            decide: Must be quick and free of side effects: it is done again if the database was lost during the
                commit. Returning the row it was given writes nothing.

        Returns:
            The function's result.

        Raises:
            StateError: The database failed.
        """
        ...


class MemoryTokens:
    """Tokens that this process shares with itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[TokenKey, VendorToken] = {}
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`."""
        self._lock = threading.Lock()

    def transact(self, key: TokenKey, decide: Decide[T]) -> T:
        """See `TokenStore.transact`."""
        with self._lock:
            after, result = decide(self._rows.get(key, VendorToken()), self._clock())
            self._rows[key] = after
            return result

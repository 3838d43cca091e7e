"""Who asks the vendor for the next token, and when: decided without clock, network or database.

A vendor that has one active token for each application ends the one before when it gives another, and what is under way
with that fails. So the programs that use an application share one row, and these rules:

- One asks at a time. Whoever finds no token takes a lease and asks; all others wait. A lease ends by itself, so that
  nobody waits for a program that was killed.
- A token is used until shortly before its end, and by nobody while the next is being asked for.
- Whoever is refused with a token looks whether there is a newer one before asking for any.
- No more than `MOST` are asked for in any `WINDOW`. What counts is the latest moment at which the vendor can have been
  asked: for a request that was answered, the answer; for one that was not, the end of its lease.

Times are epoch seconds of the store's clock, which the programs have in common. A clock that was set back shortens
nothing but waits: no time in a row lies further ahead than it could have been written.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from state.tokens import VendorToken

MOST, WINDOW = 5, 60.0
"""Tokens that Vanta gives in so many seconds. Source: developer.vanta.com, "Rate limits"."""
LEASE = 30.0
"""Seconds that one program may take to ask; longer than its request can last (`flows.client_credentials`)."""
MARGIN = 60.0
"""Seconds before its end that a token is renewed; a tenth of its life, if that is shorter."""
SOON = 12.0
"""Seconds: a token that is refused so soon after it was given was ended by somebody who does not share the row, and who
would lose the next one in turn."""


@dataclass(frozen=True, slots=True)
class Usable:
    """There is an answer of the vendor to use.

    Attributes:
        serial: Which.
        sealed: Itself, encrypted.
        seconds: For how long.
    """

    serial: int
    sealed: bytes = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class Mint:
    """Ask the vendor, and tell what came of it (`given`, `failed`)."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Another program asks just now. Look again soon; `seconds` from now (at `until`) it has had its time."""

    seconds: float
    until: float


@dataclass(frozen=True, slots=True)
class UsedUp:
    """Nobody may ask for so many seconds, until `until`."""

    seconds: float
    until: float


@dataclass(frozen=True, slots=True)
class Contested:
    """The token was ended `age` seconds after it was given, by somebody who does not share the row."""

    age: float


Answer = Usable | Mint | Wait | UsedUp | Contested


def ask(row: VendorToken, now: float, *, lease: str, bad: int = 0, refused: bool = False) -> tuple[VendorToken, Answer]:
    """What somebody who needs a token does next.

    Args:
        row: What is shared.
        now: The time.
        lease: A name for this need, different from all others'.
        bad: The serial of what will not do; 0 for none.
        refused: Whether because the vendor refused it; otherwise it cannot be opened.

    Returns:
        The row after it, and what to do.

    Example:
        >>> row, answer = ask(VendorToken(), 1000.0, lease="a")
        >>> answer
        Mint()
        >>> ask(row, 1001.0, lease="b")[1]
        Wait(seconds=29.0, until=1030.0)
        >>> row = given(row, 1002.0, lease="a", sealed=b"...", lasts=3600.0)
        >>> ask(row, 1003.0, lease="b")[1]
        Usable(serial=1, seconds=3539.0)
    """
    row = _at_time(row, now)
    if row.lease == lease:  # taken in a transaction whose end was not heard of
        return row, Mint()
    if row.lease and now < row.lease_until:
        return row, Wait(row.lease_until - now, row.lease_until)
    if row.sealed is not None and row.serial != bad and now < row.renew_at:
        return row, Usable(row.serial, row.sealed, row.renew_at - now)
    if refused and row.serial == bad and now < row.renew_at and now - row.given_at < SOON:
        return row, Contested(now - row.given_at)
    if len(row.mints) >= MOST:
        until = sorted(row.mints)[-MOST] + WINDOW
        return row, UsedUp(until - now, until)
    until = now + LEASE
    return replace(row, lease=lease, lease_until=until, mints=(*row.mints, until)), Mint()


def given(row: VendorToken, now: float, *, lease: str, sealed: bytes, lasts: float) -> VendorToken:
    """The row after the vendor has answered.

    Args:
        row: What is shared.
        now: The time.
        lease: Of the `Mint`.
        sealed: The answer, encrypted.
        lasts: Seconds that it is good for.
    """
    row = _at_time(row, now)
    if row.sealed == sealed:  # kept in a transaction whose end was not heard of
        return row
    if row.lease != lease:
        # It came after the lease had ended, and another may have asked: nobody can tell whose token is the newer one.
        return replace(row, given_at=0.0, mints=(*row.mints, now))
    renew_at = now + lasts - min(MARGIN, lasts / 10)
    row = _released(row, now, sent=True)
    return replace(row, serial=row.serial + 1, sealed=sealed, given_at=now, renew_at=renew_at)


def failed(row: VendorToken, now: float, *, lease: str, sent: bool) -> VendorToken:
    """The row after no answer came, so that the next may ask at once.

    Args:
        row: What is shared.
        now: The time.
        lease: Of the `Mint`.
        sent: Whether the vendor may have been asked.
    """
    row = _at_time(row, now)
    return _released(row, now, sent=sent) if row.lease == lease else row


def _released(row: VendorToken, now: float, *, sent: bool) -> VendorToken:
    mints = list(row.mints)
    if row.lease_until in mints:
        mints.remove(row.lease_until)
    return replace(row, lease="", lease_until=0.0, mints=(*mints, now) if sent else tuple(mints))


def _at_time(row: VendorToken, now: float) -> VendorToken:
    """The row without what is over, and without what a clock that was set back has left in the future."""
    mints = tuple(min(each, now + LEASE) for each in row.mints if each > now - WINDOW)
    row = replace(row, mints=mints, lease_until=min(row.lease_until, now + LEASE))
    if row.given_at > now:
        return replace(row, given_at=0.0, renew_at=now + row.renew_at - row.given_at)
    return row

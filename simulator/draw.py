"""Made-up values for made-up records: the same for the same seed."""

import random
import string
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

EPOCH = 1_767_225_600
"""2026-01-01T00:00Z: generated records are older than this, so that a world depends on its seed alone."""
AGE = 2 * 365 * 24 * 3600
"""Seconds over which the generated records were created."""
DAY = 24 * 3600

FIRST = ("Ada", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean")
LAST = ("Allen", "Backus", "Church", "Dahl", "Engelbart", "Floyd", "Goldberg", "Hopper", "Iverson", "Kay")
SUBJECTS = ("Access control", "Backup", "Change management", "Encryption", "Incident response", "Onboarding",
            "Physical security", "Risk assessment", "Vendor review", "Vulnerability management")  # fmt: skip


class Draw:
    """Draws the values of one record.

    Args:
        source: Where the chance comes from.
        at: When the record is created, in epoch seconds.
        number: How many of its kind there were before it.
        parent: Id of what it belongs to; empty for nothing.
        known: Ids that exist, by kind.
    """

    def __init__(
        self, source: random.Random, at: float, number: int, parent: str, known: dict[str, Sequence[str]]
    ) -> None:
        self._random = source
        self.at = at
        self.number = number
        self.parent = parent
        self._known = known

    def one(self, *values: T) -> T:
        """One of the values."""
        return self._random.choice(values)

    def below(self, bound: int) -> int:
        """A whole number from 0 to below the bound."""
        return self._random.randrange(bound)

    def hex(self, digits: int) -> str:
        """As in a MongoDB id (24) or a hash (40, 64)."""
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"

    def base62(self, length: int) -> str:
        """Letters and digits."""
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=length))

    def upper(self, length: int) -> str:
        """Upper-case letters and digits."""
        return "".join(self._random.choices(string.ascii_uppercase + string.digits, k=length))

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def person(self) -> str:
        """First and last name; they repeat."""
        return f"{self.one(*FIRST)} {self.one(*LAST)}"

    def subject(self) -> str:
        """What a control, document or request is about; they repeat."""
        return self.one(*SUBJECTS)

    def ref(self, kind: str) -> str | None:
        """The id of an existing record of a kind; None if there is none."""
        ids = self._known.get(kind, ())
        return self._random.choice(ids) if ids else None

    def refs(self, kind: str, most: int) -> list[str]:
        """The ids of 0 to `most` records of a kind, in their order."""
        ids = self._known.get(kind, ())
        count = min(len(ids), self._random.randint(0, most))
        return [ids[index] for index in sorted(self._random.sample(range(len(ids)), count))]

    def later(self, days: float) -> float:
        """Epoch seconds from the creation to so many days later."""
        return self.at + self._random.randrange(int(days * DAY))


def iso(at: float) -> str:
    """Write epoch seconds as 2026-03-01T19:05:00Z."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_ms(at: float) -> str:
    """Write epoch seconds as 2026-03-01T19:05:00.000Z."""
    millis = int(at * 1000)
    return datetime.fromtimestamp(millis // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis % 1000:03}Z"


def day(at: float) -> str:
    """Write epoch seconds as 2026-03-01."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%d")


def seconds(at: float) -> int:
    """Epoch seconds as a whole number."""
    return int(at)


def epoch(text: str) -> float:
    """Read an ISO 8601 date or time; one without an offset is UTC.

    Raises:
        ValueError: If it is none.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

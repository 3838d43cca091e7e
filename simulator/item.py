"""A record of a vendor, and what its kind of record is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.draw import AGE, Draw

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record.

    Attributes:
        name: What the control endpoints call it; most often the source's stream.
        id: Draws an id.
        make: Draws the fields, without the id. A name that begins with `_` is for the vendor's own use, not shown.
        text: The field that an edit changes.
        key: The field that has the id; empty for none.
        parent: The kind it belongs to.
        modified: The field that says when it was changed; empty for none.
        tombstone: The field that says when it was deleted; empty if what is deleted is in no listing.
        clock: How those two are written.
        mark: What the tombstone field says instead of the time; None for the time.
        age: Seconds over which the generated ones were created.
        number: Whether the id is a number when it is shown.
    """

    name: str
    id: Callable[[Draw], str]
    make: Callable[[Draw], Fields]
    text: str
    key: str = "id"
    parent: str = ""
    modified: str = ""
    tombstone: str = ""
    clock: Callable[[float], Any] = int
    mark: Any = None
    age: int = AGE
    number: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One record.

    Attributes:
        kind: What it is.
        id: Unique in the dataset.
        parent: Id of what it belongs to; empty for nothing.
        order: Grows with each that is added.
        created: Epoch seconds.
        edited: Epoch seconds.
        fields: As the vendor shows them, and its own, which begin with `_`.
        revision: 1, and one more with each edit.
        deleted: Whether it was removed, and is kept as a tombstone.
    """

    kind: Kind
    id: str
    parent: str
    order: int
    created: float
    edited: float
    fields: Fields
    revision: int = 1
    deleted: bool = False

    @property
    def shown(self) -> Fields:
        """The fields that the vendor shows, with the id first."""
        own = {name: value for name, value in self.fields.items() if not name.startswith("_")}
        if not self.kind.key:
            return own
        return {self.kind.key: int(self.id) if self.kind.number else self.id, **own}

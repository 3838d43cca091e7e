"""One record of a Notion workspace."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["user", "page", "row", "data_source", "block"]

KINDS: tuple[Kind, ...] = ("user", "page", "row", "data_source", "block")


@dataclass(frozen=True, slots=True)
class Record:
    """One user, page, row, data source or block.

    Attributes:
        kind: What it is; a row is a page whose parent is a data source.
        id: UUID with dashes.
        title: Title, a user's name, or the text of a block.
        created: Epoch seconds, a whole minute.
        edited: Epoch seconds, a whole minute: Notion rounds both down.
        author: Id of the user that made it; empty for users.
        parent: Id of the data source (rows), database (data sources), page or block (blocks); empty for the others.
        revision: 1, and one more with each edit.
        in_trash: Trashed pages can still be fetched by id but are in no listing.
    """

    kind: Kind
    id: str
    title: str
    created: int
    edited: int
    author: str = ""
    parent: str = ""
    revision: int = 1
    in_trash: bool = False


def minute(now: float) -> int:
    """Round epoch seconds down to the minute."""
    return int(now // 60) * 60

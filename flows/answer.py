"""What is asked of a vendor for one page, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One request of a listing.

    Attributes:
        method: HTTP method.
        path: Relative to the API's base URL.
        query: Query parameters.
        body: JSON body; None for none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a page, as paginators read it.

    Attributes:
        content: The JSON.
        records: The page's records.
        headers: Of the response, by lower-case name.
        url: Where it was asked for.
        base_url: The API's address.
        cursor: Where the page was; None for the first.
    """

    content: Any
    records: Sequence[Any] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    base_url: str = ""
    cursor: str | None = None


def at(content: Any, path: str) -> Any:
    """What a JSON value holds at a dotted path; None if that is nothing, the value itself at `""`.

    Example:
        >>> at({"results": {"data": [1]}}, "results.data"), at({"results": []}, "results.data")
        ([1], None)
    """
    for name in path.split(".") if path else ():
        content = content.get(name) if isinstance(content, Mapping) else None
    return content

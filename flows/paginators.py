"""How to ask for the next page. Pure: a paginator never sends, it changes a request and reads an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from flows.errors import BadPage


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


class Paginator(Protocol):
    """A way of paging."""

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """The request for the page at `cursor`; None for the first page."""
        ...

    def next_cursor(self, answer: Mapping[str, Any]) -> str | None:
        """The cursor of the page after this one; None on the last.

        Raises:
            BadPage: The answer does not say.
        """
        ...


@dataclass(frozen=True, slots=True)
class CursorPaginator:
    """An opaque cursor in the answer that goes into the next request.

    Attributes:
        place: Where the cursor goes: `body` or `query`.
        parameter: Its name there.
        next_field: Where the answer has it.
        more_field: Where the answer says whether there is more.
        size_parameter: Name of the page size.
        size: Records a page.

    Example:
        >>> paging = CursorPaginator("query", "start_cursor", "next_cursor", "has_more", "page_size", 100)
        >>> paging.prepare(PageRequest("GET", "/users", {}), "abc").query
        {'page_size': '100', 'start_cursor': 'abc'}
        >>> paging.next_cursor({"has_more": True, "next_cursor": "def"})
        'def'
    """

    place: Literal["body", "query"]
    parameter: str
    next_field: str
    more_field: str
    size_parameter: str
    size: int

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        given = {} if cursor is None else {self.parameter: cursor}
        if self.place == "query":
            return replace(request, query={**request.query, self.size_parameter: str(self.size), **given})
        return replace(request, body={**(request.body or {}), self.size_parameter: self.size, **given})

    def next_cursor(self, answer: Mapping[str, Any]) -> str | None:
        """See `Paginator.next_cursor`."""
        more, cursor = answer.get(self.more_field), answer.get(self.next_field)
        if more is False:
            return None
        if more is True and isinstance(cursor, str) and cursor:
            return cursor
        raise BadPage(f"it does not say whether there are more pages ({self.more_field}, {self.next_field})")

"""How to ask for the next page. Pure: a paginator never sends, it changes a request and reads an answer.

A cursor is text, since the database keeps it: what the vendor gave, a number, or a link (see `flows.links`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from flows.answer import Answer, PageRequest, at
from flows.errors import BadPage

__all__ = ["CursorPaginator", "IdPaginator", "OffsetPaginator", "PagePaginator", "PageRequest", "Paginator", "Whole"]


class Paginator(Protocol):
    """A way of paging."""

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """The request for the page at `cursor`; None for the first page."""
        ...

    def next_cursor(self, answer: Answer) -> str | None:
        """The cursor of the page after this one; None on the last.

        Raises:
            BadPage: The answer does not say.
            ForeignLink: It points to another host.
        """
        ...


@dataclass(frozen=True, slots=True)
class CursorPaginator:
    """An opaque cursor in the answer that goes into the next request.

    Attributes:
        place: Where the cursor goes: `body` or `query`.
        parameter: Its name there.
        next_field: Where the answer has it, as a dotted path.
        more_field: Where the answer says whether there is more; `""`: there is if it has a cursor.
        size_parameter: Name of the page size; `""` for none.
        size: Records a page.

    Example:
        >>> paging = CursorPaginator("query", "start_cursor", "next_cursor", "has_more", "page_size", 100)
        >>> paging.prepare(PageRequest("GET", "/users", {}), "abc").query
        {'page_size': '100', 'start_cursor': 'abc'}
        >>> paging.next_cursor(Answer({"has_more": True, "next_cursor": "def"}))
        'def'
    """

    place: Literal["body", "query"]
    parameter: str
    next_field: str
    more_field: str = ""
    size_parameter: str = ""
    size: int = 100

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        size = {self.size_parameter: self.size} if self.size_parameter else {}
        given = {} if cursor is None else {self.parameter: cursor}
        if self.place == "query":
            return replace(request, query={**request.query, **{k: str(v) for k, v in size.items()}, **given})
        return replace(request, body={**(request.body or {}), **size, **given})

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        cursor = at(answer.content, self.next_field)
        if not self.more_field:
            if cursor is None or cursor == "":
                return None
            if isinstance(cursor, str):
                return cursor
            raise BadPage(f"its cursor is no text ({self.next_field})")
        more = at(answer.content, self.more_field)
        if more is False:
            return None
        if more is True and isinstance(cursor, str) and cursor:
            return cursor
        raise BadPage(f"it does not say whether there are more pages ({self.more_field}, {self.next_field})")


@dataclass(frozen=True, slots=True)
class PagePaginator:
    """Pages by number. The listing ends with an empty page, since a vendor may give fewer records than asked for.

    Attributes:
        parameter: Name of the page number in the query.
        size_parameter: Name of the page size.
        size: Records a page.
        first: Number of the first page.
        pages_field: Where the answer says how many pages there are, as a dotted path; spares the empty page.

    Example:
        >>> paging = PagePaginator(pages_field="paging.pages")
        >>> paging.next_cursor(Answer({"paging": {"pages": 3}}, cursor="2"))
        '3'
    """

    parameter: str = "page"
    size_parameter: str = "per_page"
    size: int = 100
    first: int = 1
    pages_field: str = ""

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        paging = {self.size_parameter: str(self.size), self.parameter: cursor or str(self.first)}
        return replace(request, query={**request.query, **paging})

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        page = _number(answer.cursor, self.first)
        if not self.pages_field:
            return str(page + 1) if answer.records else None
        pages = _whole(answer, self.pages_field)
        return str(page + 1) if page - self.first + 1 < pages else None


@dataclass(frozen=True, slots=True)
class OffsetPaginator:
    """Pages by how many records went before. The listing ends with an empty page, or where the total is reached.

    Attributes:
        parameter: Name of the offset in the query.
        size_parameter: Name of the page size.
        size: Records a page.
        total_field: Where the answer says how many records there are, as a dotted path; spares the empty page.

    Example:
        >>> OffsetPaginator(size=2).next_cursor(Answer([{"id": 3}, {"id": 4}], [{"id": 3}, {"id": 4}], cursor="2"))
        '4'
    """

    parameter: str = "offset"
    size_parameter: str = "limit"
    size: int = 100
    total_field: str = ""

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        paging = {self.size_parameter: str(self.size), self.parameter: cursor or "0"}
        return replace(request, query={**request.query, **paging})

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        reached = _number(answer.cursor, 0) + len(answer.records)
        if self.total_field:
            total = _whole(answer, self.total_field)
            if reached < total and not answer.records:
                raise BadPage(f"it is empty at {reached:,} of {total:,} records")
            return str(reached) if reached < total else None
        return str(reached) if answer.records else None


@dataclass(frozen=True, slots=True)
class IdPaginator:
    """What comes after the last record of a page, by its id.

    Attributes:
        parameter: Name of the id in the query.
        id_field: Where a record has it, as a dotted path.
        more_field: Where the answer says whether there is more; `""`: there is unless the page is empty.
        size_parameter: Name of the page size.
        size: Records a page.

    Example:
        >>> IdPaginator(more_field="has_more").next_cursor(Answer({"has_more": True}, [{"id": "a"}, {"id": "b"}]))
        'b'
    """

    parameter: str = "after"
    id_field: str = "id"
    more_field: str = ""
    size_parameter: str = "limit"
    size: int = 100

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        after = {} if cursor is None else {self.parameter: cursor}
        return replace(request, query={**request.query, self.size_parameter: str(self.size), **after})

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        more = at(answer.content, self.more_field) if self.more_field else bool(answer.records)
        if more is False:
            return None
        last = at(answer.records[-1], self.id_field) if answer.records else None
        if more is not True or isinstance(last, bool) or not isinstance(last, str | int) or last == "":
            raise BadPage(f"it does not say what comes after it ({self.more_field or 'the last record'})")
        return str(last)


@dataclass(frozen=True, slots=True)
class Whole:
    """No paging: one answer is everything."""

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:  # noqa: ARG002
        """See `Paginator.prepare`."""
        return request

    def next_cursor(self, answer: Answer) -> str | None:  # noqa: ARG002
        """See `Paginator.next_cursor`."""
        return None


def _number(cursor: str | None, otherwise: int) -> int:
    if cursor is None:
        return otherwise
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 15:
        raise BadPage(f"the cursor {cursor[:50]!r} is no number")
    return int(cursor)


def _whole(answer: Answer, field: str) -> int:
    number = at(answer.content, field)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise BadPage(f"it does not say how many there are ({field})")
    return number

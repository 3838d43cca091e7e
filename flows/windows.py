"""Paging past the most that one query gives: by windows of a field that never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flows.answer import Answer, PageRequest, at
from flows.paginators import CursorPaginator


@dataclass(frozen=True, slots=True)
class WindowPaginator:
    """Pages by cursor; where the vendor cuts a query short, another begins at the last record's field.

    The query must be sorted by the field, ascending. Records at the seam come twice, which the store does not mind. A
    whole query of records with one and the same value cannot be passed; then the listing is cut, and says so.

    Attributes:
        inner: Pages within a window.
        field: Of a record; text that sorts, such as the time of its creation.
        starting: The filter for records from a value of the field on.

    Example:
        >>> inner = CursorPaginator("body", "start_cursor", "next_cursor", "has_more", "page_size", 100)
        >>> paging = WindowPaginator(inner, "created_time", lambda value: {"created": {"from": value}})
        >>> paging.beyond_cut(Answer({}, [{"created_time": "2026-01-02"}], cursor="2026-01-01|x"))
        '2026-01-02|'
        >>> paging.prepare(PageRequest("POST", "/query", {}, {"filter": {"a": 1}}), "2026-01-02|").body
        {'filter': {'and': [{'a': 1}, {'created': {'from': '2026-01-02'}}]}, 'page_size': 100}
    """

    inner: CursorPaginator
    field: str
    starting: Callable[[str], Mapping[str, Any]]

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        start, inner = _parts(cursor)
        if start:
            body = dict(request.body or {})
            wanted = self.starting(start)
            body["filter"] = {"and": [body["filter"], wanted]} if body.get("filter") else wanted
            request = replace(request, body=body)
        return self.inner.prepare(request, inner)

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        following = self.inner.next_cursor(answer)
        return None if following is None else f"{_parts(answer.cursor)[0]}|{following}"

    def beyond_cut(self, answer: Answer) -> str | None:
        """The cursor of the next window, after a page at which the vendor ended the query; None if there is none."""
        start, _ = _parts(answer.cursor)
        last = at(answer.records[-1], self.field) if answer.records else None
        return f"{last}|" if isinstance(last, str) and last > start and "|" not in last else None


def _parts(cursor: str | None) -> tuple[str, str | None]:
    """Where the window begins (`""`: everything) and the vendor's cursor in it."""
    if cursor is None or "|" not in cursor:
        return "", cursor
    start, _, inner = cursor.partition("|")
    return start, inner or None

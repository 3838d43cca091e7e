"""Slack: users and their access logs.

Source: docs.slack.dev. A refusal comes with status 200 and `ok: false`. The access logs are for paid plans and know no
id: an entry is named by what it counts. They give at most 100 pages; what is older is asked for `before` the oldest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import httpx

from flows.answer import Answer, PageRequest, at
from flows.errors import BadPage
from flows.paginators import CursorPaginator, PagePaginator
from flows.stream import Source, Stream

PAGES = CursorPaginator("query", "cursor", "response_metadata.next_cursor", "", "limit", 200)
_PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited"})


def refusal(answer: Any) -> str | None:
    """Why Slack does not give what was asked for; None if it does.

    Raises:
        BadPage: It says so for a while only.
    """
    if at(answer, "ok") is not False:
        return None
    error = str(at(answer, "error") or "no reason given")
    if error in _PASSING:
        raise BadPage(f"it says {error}")
    needed = at(answer, "needed")
    return f"{error}, it needs {needed}" if needed else error


def cursor_expired(response: httpx.Response) -> bool:
    """Whether the page cursor is what Slack refuses."""
    try:
        return bool(at(json.loads(response.content), "error") == "invalid_cursor")
    except (ValueError, RecursionError):
        return False


@dataclass(frozen=True, slots=True)
class BackInTime:
    """Pages by number as far as Slack counts, then from the oldest entry back in time.

    What lies at the seam comes twice, which the store does not mind. More pages of one and the same second than Slack
    counts cannot be passed; then the listing goes in a circle, which is said.

    Attributes:
        inner: Pages from one moment back.
        most: Pages that Slack gives from one moment back.
        field: When an entry was, epoch seconds.

    Example:
        >>> paging = BackInTime(PagePaginator("page", "count", 2, pages_field="paging.pages"), most=1)
        >>> answer = Answer({"paging": {"pages": 9}}, [{"date_last": 30}, {"date_last": 20}])
        >>> paging.next_cursor(answer), paging.prepare(PageRequest("GET", "/", {}), "20|").query
        ('20|', {'count': '2', 'page': '1', 'before': '20'})
    """

    inner: PagePaginator
    most: int = 100
    field: str = "date_last"

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        before, _, page = (cursor or "").partition("|")
        request = self.inner.prepare(request, page or None)
        return replace(request, query={**request.query, "before": before}) if before else request

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        before, _, page = (answer.cursor or "").partition("|")
        following = self.inner.next_cursor(replace(answer, cursor=page or None))
        if following is None or int(following) <= self.most:
            return following and f"{before}|{following}"
        times = [time for record in answer.records if isinstance(time := at(record, self.field), int)]
        if not times:
            raise BadPage(f"it does not say how old it is ({self.field}), and there is more")
        return f"{min(times)}|"


SLACK = Source(
    name="slack",
    title="Slack",
    streams=(
        Stream(
            name="users",
            method="GET",
            path="/users.list",
            paginator=PAGES,
            records="members",
            controls=("SOC 2 CC6.2", "ISO 27001 A.5.16"),
        ),
        Stream(
            name="access_logs",
            method="GET",
            path="/team.accessLogs",
            paginator=BackInTime(PagePaginator("page", "count", 1000, pages_field="paging.pages")),
            records="logins",
            primary_key=("user_id", "date_first", "ip", "user_agent"),
            watermark="date_last",
            clock="seconds",
            order="newest first",
            overlap=60.0,
            exhaustive=False,  # it forgets
            on_request=True,  # paid plans only
            controls=("SOC 2 CC7.2", "ISO 27001 A.8.15"),
        ),
    ),
    cursor_expired=cursor_expired,
    refusal=refusal,
)

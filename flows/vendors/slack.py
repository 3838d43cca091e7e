"""Slack: users and their access logs.

Source: docs.slack.dev. A refusal comes with status 200 and `ok: false`. The access logs are for paid plans and know no
id: an entry is named by what it counts.
"""

from __future__ import annotations

import json
from typing import Any

import httpx

from flows.answer import at
from flows.errors import BadPage
from flows.paginators import CursorPaginator
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
            paginator=PAGES,
            records="logins",
            primary_key=("user_id", "date_first", "ip", "user_agent"),
            exhaustive=False,  # it forgets
            on_request=True,  # paid plans only
            controls=("SOC 2 CC7.2", "ISO 27001 A.8.15"),
        ),
    ),
    cursor_expired=cursor_expired,
    refusal=refusal,
)

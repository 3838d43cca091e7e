"""Slack's Audit Logs API, for Enterprise organizations: another host, token and limit than the Web API.

Source: docs.slack.dev/admins/audit-logs-api. Entries come newest first and can be asked for from a second on.
"""

from __future__ import annotations

from flows.paginators import CursorPaginator
from flows.stream import Source, Stream
from flows.vendors.slack import cursor_expired, refusal

SLACK_AUDIT = Source(
    name="slack_audit",
    title="Slack (audit logs)",
    streams=(
        Stream(
            name="audit_logs",
            method="GET",
            path="/logs",
            paginator=CursorPaginator("query", "cursor", "response_metadata.next_cursor", "", "limit", 1000),
            records="entries",
            watermark="date_create",
            clock="seconds",
            order="newest first",
            since=lambda second: {"oldest": second},
            overlap=60.0,
            exhaustive=False,
            controls=("SOC 2 CC7.2", "ISO 27001 A.8.15"),
        ),
    ),
    cursor_expired=cursor_expired,
    refusal=refusal,
)

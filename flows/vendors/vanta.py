"""Manage Vanta: what a customer's own tenant holds.

Source: developer.vanta.com and Vanta's own MCP server (github.com/VantaInc/vanta-mcp-server). There is no filter by
time, so every stream is listed whole and compared; a test's failing entities only where the test ran again.
"""

from __future__ import annotations

from typing import Any

import httpx

from flows.paginators import CursorPaginator
from flows.signatures import without_signatures
from flows.stream import Parent, Record, Source, Stream

PAGING = CursorPaginator(
    "query", "pageCursor", "results.pageInfo.endCursor", "results.pageInfo.hasNextPage", "pageSize", 100
)


def listed(name: str, *controls: str, path: str = "", **more: Any) -> Stream:
    """A listing in Vanta's envelope; its path is its name unless it says otherwise."""
    return Stream(
        name=name,
        method="GET",
        path=path or f"/v1/{name.replace('_', '-')}",
        paginator=PAGING,
        records="results.data",
        stable=without_signatures,
        controls=controls,
        **more,
    )


def cursor_expired(response: httpx.Response) -> bool:
    """Whether the page cursor is what Vanta refuses."""
    return response.status_code == 400 and "pageCursor" in response.text


def _failing_since(test: Record) -> str | None:
    """Entities are those that fail, and a test that does not fail has none; each run of it may change them."""
    return str(test.get("lastTestRunDate")) if test.get("status") == "NEEDS_ATTENTION" else None


VANTA = Source(
    name="vanta",
    title="Vanta",
    streams=(
        listed("frameworks", "SOC 2 CC1.1", "ISO 27001 A.5.36"),
        listed("controls", "SOC 2 CC5.1", "ISO 27001 A.5.36"),
        listed("control_tests", "SOC 2 CC4.1", path="/v1/controls/{controls}/tests", parent=Parent("controls")),
        listed("control_documents", "SOC 2 CC4.1", path="/v1/controls/{controls}/documents", parent=Parent("controls")),
        listed("tests", "SOC 2 CC4.1", "ISO 27001 A.8.34"),
        listed(
            "test_entities",
            "SOC 2 CC4.2",
            path="/v1/tests/{tests}/entities",
            query={"entityStatus": "FAILING"},
            parent=Parent("tests", changed=_failing_since),
        ),
        listed("documents", "SOC 2 CC2.1", "ISO 27001 A.5.37"),
        listed(
            "document_uploads",
            "SOC 2 CC2.1",
            path="/v1/documents/{documents}/uploads",
            content="/v1/document-uploads/{id}/download",
            parent=Parent("documents"),
        ),
        listed("people", "SOC 2 CC1.4", "ISO 27001 A.6.1"),
        listed("policies", "SOC 2 CC5.3", "ISO 27001 A.5.1"),
        listed("vendors", "SOC 2 CC9.2", "ISO 27001 A.5.19"),
        listed("vulnerabilities", "SOC 2 CC7.1", "ISO 27001 A.8.8"),
        listed("vulnerability_remediations", "SOC 2 CC7.4", "ISO 27001 A.8.8"),
        listed("monitored_computers", "SOC 2 CC6.8", "ISO 27001 A.8.1"),
        listed("integrations", "SOC 2 CC3.2", "ISO 27001 A.5.9"),
        listed("groups", "SOC 2 CC6.3", "ISO 27001 A.5.18"),
    ),
    cursor_expired=cursor_expired,
)

"""OpenAI: who may do what in an organization, its keys and costs, and what happened.

Source: github.com/openai/openai-openapi (administration). All of it asks for an admin key. Recent buckets of costs may
still change, so the last days are asked for again.
"""

from __future__ import annotations

from typing import Any

from flows.paginators import CursorPaginator, IdPaginator
from flows.stream import Parent, Source, Stream

_PAGES = IdPaginator("after", "id", "has_more", "limit", 100)
_TWO_DAYS = 172_800.0
_BEGINNING = "1577836800"  # 2020, before which there were no costs


def _listed(name: str, *controls: str, path: str = "", **more: Any) -> Stream:
    declared: dict[str, Any] = {"paginator": _PAGES, "records": "data", **more}
    return Stream(name=name, method="GET", path=path or f"/organization/{name}", controls=controls, **declared)


OPENAI = Source(
    name="openai",
    title="OpenAI",
    streams=(
        _listed("users", "SOC 2 CC6.2", "ISO 27001 A.5.16"),
        _listed("projects", "SOC 2 CC6.1", "ISO 27001 A.5.9", query={"include_archived": "true"}),
        _listed(
            "project_users",
            "SOC 2 CC6.3",
            "ISO 27001 A.5.18",
            path="/organization/projects/{projects}/users",
            parent=Parent("projects"),
        ),
        _listed(
            "project_api_keys",
            "SOC 2 CC6.1",
            "ISO 27001 A.8.24",
            path="/organization/projects/{projects}/api_keys",
            parent=Parent("projects"),
        ),
        _listed("admin_api_keys", "SOC 2 CC6.1", "ISO 27001 A.8.24"),
        _listed(
            "audit_logs",
            "SOC 2 CC7.2",
            "ISO 27001 A.8.15",
            watermark="effective_at",
            clock="seconds",
            order="newest first",
            since=lambda second: {"effective_at[gte]": second},
            overlap=3600.0,
            exhaustive=False,
        ),
        _listed(
            "costs",
            "SOC 2 CC7.2",
            "ISO 27001 A.8.6",
            paginator=CursorPaginator("query", "page", "next_page", "has_more", "limit", 180),
            query={"bucket_width": "1d", "start_time": _BEGINNING},
            primary_key="start_time",
            watermark="start_time",
            clock="seconds",
            since=lambda second: {"start_time": second},
            overlap=_TWO_DAYS,
            exhaustive=False,
        ),
    ),
)

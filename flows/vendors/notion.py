"""Notion: users, pages, data sources, the rows of a data source, and on request the blocks of every page.

Source: developers.notion.com/reference (version 2025-09-03): `post-search`, `query-a-data-source`, `get-users`. Three
facts shape this file. A search has no filter by time, only an order. A query returns at most 10,000 rows and then says
`request_status: incomplete`, so rows are listed in windows of `created_time`. `last_edited_time` is rounded down to the
minute.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

import httpx

from flows.paginators import CursorPaginator
from flows.stream import Parameter, Parent, Record, Source, Stream
from flows.windows import WindowPaginator

_IN_BODY = CursorPaginator("body", "start_cursor", "next_cursor", "has_more", "page_size", 100)
_IN_QUERY = CursorPaginator("query", "start_cursor", "next_cursor", "has_more", "page_size", 100)
_MINUTE = 60.0


def _notion_id(value: str) -> str:
    """Notion takes ids with and without dashes; they name the same thing."""
    try:
        return str(uuid.UUID(value.strip()))
    except ValueError:
        raise ValueError(f"it must be a Notion id (32 hexadecimal digits), not {value!r}") from None


_DATA_SOURCE = Parameter("data_source", _notion_id, "The id of a data source")


def _without_signatures(value: Any) -> Any:
    """Drop what makes a link to a file work for an hour: it is a secret, and another one in every answer."""
    if isinstance(value, dict):
        kept = {key: _without_signatures(each) for key, each in value.items()}
        if "expiry_time" in kept and isinstance(kept.get("url"), str):
            del kept["expiry_time"]
            kept["url"] = kept["url"].partition("?")[0]
        return kept
    if isinstance(value, list):
        return [_without_signatures(each) for each in value]
    return value


def _has_signatures(value: Any) -> bool:
    """Whether there is any. Most records have none, and to look costs a fifth of rebuilding them."""
    if type(value) is dict:
        if "expiry_time" in value:
            return True
        value = value.values()
    for each in value:  # noqa: SIM110  (the generators of an `any` would cost half of it)
        if (type(each) is dict or type(each) is list) and _has_signatures(each):
            return True
    return False


def _stable(record: Record) -> Record:
    return cast("Record", _without_signatures(record)) if _has_signatures(record) else record


def _cut(answer: Mapping[str, Any]) -> str | None:
    status = answer.get("request_status")
    if isinstance(status, Mapping) and status.get("type") == "incomplete":
        return str(status.get("incomplete_reason") or "no reason given")
    return None


def _edited_since(moment: str) -> Mapping[str, Any]:
    return {"filter": {"timestamp": "last_edited_time", "last_edited_time": {"on_or_after": moment}}}


def _created_since(moment: str) -> Mapping[str, Any]:
    return {"timestamp": "created_time", "created_time": {"on_or_after": moment}}


def _holds_blocks(block: Record) -> bool:
    """A page or database within a page is listed as itself."""
    return block.get("has_children") is True and block.get("type") not in ("child_page", "child_database")


def _search(name: str, kind: str, controls: tuple[str, ...]) -> Stream:
    return Stream(
        name=name,
        method="POST",
        path="/search",
        paginator=_IN_BODY,
        body={
            "filter": {"property": "object", "value": kind},
            "sort": {"timestamp": "last_edited_time", "direction": "descending"},
        },
        watermark="last_edited_time",
        order="newest first",
        overlap=_MINUTE,
        exhaustive=False,
        stable=_stable,
        cut=_cut,
        controls=controls,
    )


def _cursor_expired(response: httpx.Response) -> bool:
    return response.status_code == 400 and "start_cursor" in response.text


NOTION = Source(
    name="notion",
    title="Notion",
    streams=(
        Stream(
            name="users",
            method="GET",
            path="/users",
            paginator=_IN_QUERY,
            stable=_stable,
            controls=("SOC 2 CC6.2", "ISO 27001 A.5.16"),
        ),
        _search("pages", "page", controls=("SOC 2 CC5.3", "ISO 27001 A.5.1")),
        _search("data_sources", "data_source", controls=("ISO 27001 A.5.9",)),
        Stream(
            name="rows",
            method="POST",
            path="/data_sources/{data_source}/query",
            # By creation, which no edit changes: an edit would move a row from one window to another.
            paginator=WindowPaginator(_IN_BODY, "created_time", _created_since),
            body={"sorts": [{"timestamp": "created_time", "direction": "ascending"}]},
            watermark="last_edited_time",
            since=_edited_since,
            overlap=_MINUTE,
            parameters=(_DATA_SOURCE,),
            stable=_stable,
            cut=_cut,
            controls=("SOC 2 CC2.1", "ISO 27001 A.5.9"),
        ),
        Stream(
            name="blocks",
            method="GET",
            path="/blocks/{container}/children",
            paginator=_IN_QUERY,
            overlap=_MINUTE,
            parent=Parent("pages", changed=lambda page: page.get("last_edited_time"), nested=_holds_blocks),
            on_request=True,
            stable=_stable,
            controls=("SOC 2 CC5.3", "ISO 27001 A.5.1"),
        ),
    ),
    cursor_expired=_cursor_expired,
)

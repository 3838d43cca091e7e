"""Airtable: bases, the tables of each, and the records of each table; on request only what was changed of those.

Source: airtable.com/developers/web/api and support.airtable.com. An iterator expires after minutes, and then the whole
listing begins anew. A view hides rows, so none is asked for. Empty cells are left out of a record; the tables say which
fields there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from flows.paginators import CursorPaginator, Whole
from flows.signatures import without_signatures
from flows.stream import Parent, Source, Stream


def _iterator_expired(response: httpx.Response) -> bool:
    return response.status_code == 422 and "LIST_RECORDS_ITERATOR_NOT_AVAILABLE" in response.text


def _modified_since(moment: str) -> Mapping[str, Any]:
    return {"filterByFormula": f"IS_AFTER(LAST_MODIFIED_TIME(),'{moment}')"}


def _records(name: str, **more: Any) -> Stream:
    return Stream(
        name=name,
        method="GET",
        path="/{bases}/{tables}",
        paginator=CursorPaginator("query", "offset", "offset", "", "pageSize", 100),
        records="records",
        parent=Parent("tables"),
        stable=without_signatures,
        controls=("SOC 2 CC2.1", "ISO 27001 A.5.9"),
        **more,
    )


AIRTABLE = Source(
    name="airtable",
    title="Airtable",
    streams=(
        Stream(
            name="bases",
            method="GET",
            path="/meta/bases",
            paginator=CursorPaginator("query", "offset", "offset"),
            records="bases",
            controls=("SOC 2 CC6.1", "ISO 27001 A.5.9"),
        ),
        Stream(
            name="tables",
            method="GET",
            path="/meta/bases/{bases}/tables",
            paginator=Whole(),
            records="tables",
            parent=Parent("bases"),
            controls=("SOC 2 CC6.1", "ISO 27001 A.5.9"),
        ),
        _records("records"),
        # Only on request, in place of `records`: that the formula sees every change of a record is not documented. No
        # record says when it was changed; when the newest was made, all that is listed here was as it is or older.
        _records("changed_records", watermark="createdTime", since=_modified_since, overlap=120.0, on_request=True),
    ),
    cursor_expired=_iterator_expired,
)

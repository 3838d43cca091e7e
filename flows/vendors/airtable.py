"""Airtable: bases, the tables of each, and the records of each table.

Source: airtable.com/developers/web/api and support.airtable.com. An iterator expires after minutes, and then the whole
listing begins anew. A view hides rows, so none is asked for. Empty cells are left out of a record; the tables say which
fields there are.
"""

from __future__ import annotations

import httpx

from flows.paginators import CursorPaginator, Whole
from flows.signatures import without_signatures
from flows.stream import Parent, Source, Stream


def _iterator_expired(response: httpx.Response) -> bool:
    return response.status_code == 422 and "LIST_RECORDS_ITERATOR_NOT_AVAILABLE" in response.text


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
        Stream(
            name="records",
            method="GET",
            path="/{bases}/{tables}",
            paginator=CursorPaginator("query", "offset", "offset", "", "pageSize", 100),
            records="records",
            parent=Parent("tables"),
            stable=without_signatures,
            controls=("SOC 2 CC2.1", "ISO 27001 A.5.9"),
        ),
    ),
    cursor_expired=_iterator_expired,
)

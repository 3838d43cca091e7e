"""Notion's endpoints over a `World`.

Shapes and names: https://developers.notion.com/reference/intro (version 2025-09-03 and later).
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.vendors.notion.listing import Listings, Order, Page, paginate
from simulator.vendors.notion.queries import query_order, search_object, search_order, time_filter
from simulator.vendors.notion.record import Kind, Record
from simulator.vendors.notion.shapes import (
    NotionError,
    as_block,
    as_object,
    bot,
    error_response,
    invalid,
    not_found,
)
from simulator.vendors.notion.world import World


class Endpoints:
    """The handlers; `app` is them as an ASGI application.

    Args:
        world: The data.
        row_cap: Rows that one query returns over all its pages; then it ends with `request_status` incomplete.
    """

    def __init__(self, world: World, row_cap: int) -> None:
        self._world = world
        self._listings = Listings(world)
        self._row_cap = row_cap
        self.app = Starlette(
            routes=[
                Route("/v1/users", self._users, methods=["GET"]),
                Route("/v1/users/me", self._me, methods=["GET"]),
                Route("/v1/search", self._search, methods=["POST"]),
                Route("/v1/data_sources/{id}/query", self._query, methods=["POST"]),
                Route("/v1/data_sources/{id}", self._data_source, methods=["GET"]),
                Route("/v1/pages/{id}", self._page, methods=["GET"]),
                Route("/v1/blocks/{id}", self._block, methods=["GET"]),
                Route("/v1/blocks/{id}/children", self._children, methods=["GET"]),
            ],
            exception_handlers={NotionError: _on_notion_error, HTTPException: _on_unknown_route},
        )
        # A redirect to the path without its last slash would be an answer that Notion never gives.
        self.app.router.redirect_slashes = False

    async def _users(self, request: Request) -> Response:
        _check_version(request)
        return _list(self._page_of(request, "users", lambda: self._world.records("user")), "user")

    async def _me(self, request: Request) -> Response:
        _check_version(request)
        return JSONResponse(bot(self._world.bot_id))

    async def _search(self, request: Request) -> Response:
        _check_version(request)
        body = await _json(request)
        wanted = search_object(body.get("filter"))
        text = body.get("query") or ""
        if not isinstance(text, str):
            raise invalid(f"body.query should be a string, instead was {text!r}.")
        order = search_order(body.get("sort"))
        found = self._listings.sorted(("search", wanted, text), order, lambda: self._found(wanted, text))
        page = paginate(found, order, "search", body.get("start_cursor"), body.get("page_size"))
        return _list(page, "page_or_data_source")

    async def _query(self, request: Request) -> Response:
        _check_version(request)
        body = await _json(request)
        source = self._find(request, "data_source")
        if source.in_trash:
            raise not_found(f"data_source with ID: {source.id}")
        matches = time_filter(body.get("filter"))
        order = query_order(body.get("sorts"))
        rows = self._listings.sorted(
            ("query", source.id, json.dumps(body.get("filter"), sort_keys=True)),
            order,
            lambda: [record for record in self._world.records("row", source.id) if matches(record)],
        )
        page = paginate(
            rows,
            order,
            f"query {source.id}",
            body.get("start_cursor"),
            body.get("page_size"),
            self._row_cap,
        )
        status = {"type": "complete"}
        if not page.complete:
            status = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}
        return _list(page, "page_or_data_source", request_status=status)

    async def _page(self, request: Request) -> Response:
        _check_version(request)
        return JSONResponse(as_object(self._find(request, "page", "row")))

    async def _data_source(self, request: Request) -> Response:
        _check_version(request)
        return JSONResponse(as_object(self._find(request, "data_source")))

    async def _block(self, request: Request) -> Response:
        _check_version(request)
        return JSONResponse(self._as_block(self._find(request, "block")))

    async def _children(self, request: Request) -> Response:
        _check_version(request)
        holder = self._find(request, "block", "page", "row")
        name = f"children of {holder.id}"
        page = self._page_of(request, name, lambda: self._world.records("block", holder.id))
        return _list(page, "block", self._as_block)

    def _as_block(self, block: Record) -> dict[str, Any]:
        inner = self._world.records("block", block.id)
        return as_block(block, self._world.get(block.parent).kind, bool(inner))

    def _page_of(self, request: Request, name: str, select: Callable[[], list[Record]]) -> Page:
        size = request.query_params.get("page_size")
        order = Order()
        return paginate(
            self._listings.sorted(name, order, select),
            order,
            name,
            request.query_params.get("start_cursor"),
            int(size) if size is not None and size.isdecimal() and len(size) < 10 else size,
        )

    def _found(self, wanted: str | None, text: str) -> list[Record]:
        return [
            record
            for record in self._world.records()
            if record.kind not in ("user", "block")
            and wanted in (None, "data_source" if record.kind == "data_source" else "page")
            and text.casefold() in record.title.casefold()
        ]

    def _find(self, request: Request, *kinds: Kind) -> Record:
        given = request.path_params["id"]
        try:
            record = self._world.get(str(uuid.UUID(given)))  # Notion takes ids without dashes, too
        except (ValueError, KeyError):
            raise not_found(f"{kinds[0]} with ID: {given}") from None
        if record.kind not in kinds:
            raise not_found(f"{kinds[0]} with ID: {given}")
        return record


def _list(page: Page, type: str, show: Callable[[Record], dict[str, Any]] = as_object, **more: object) -> Response:
    return JSONResponse(
        {
            "object": "list",
            "results": [show(record) for record in page.records],
            "next_cursor": page.next_cursor,
            "has_more": page.next_cursor is not None,
            "type": type,
            type: {},
            **more,
        }
    )


def _check_version(request: Request) -> None:
    if not request.headers.get("notion-version", "").strip():
        raise NotionError(400, "missing_version", "Notion-Version header failed validation: it should be defined.")


async def _json(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise NotionError(400, "invalid_json", "Error parsing JSON body.") from None
    if not isinstance(body, dict):
        raise invalid("body should be an object.")
    return body


async def _on_notion_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotionError)
    return error_response(error.status, error.code, error.message)


async def _on_unknown_route(request: Request, error: Exception) -> Response:
    missing = not_found(f"{request.method} {request.url.path}")
    return error_response(missing.status, missing.code, missing.message)

"""Endpoints beside the vendor's own: look at the truth, change the world, change the limit.

No auth and no limit: they are for the test or the demo that runs the simulator.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.world import KINDS, World


class Control:
    """The handlers; `app` is them as an ASGI application.

    Args:
        world: The data.
        stats: Returns what `GET /_stats` answers.
        set_policy: Changes the hidden limit to a spec; raises `ValueError` if that is bad.
    """

    def __init__(self, world: World, stats: Callable[[], dict[str, Any]], set_policy: Callable[[str], None]) -> None:
        self._world = world
        self._stats = stats
        self._set_policy = set_policy
        self.app = Starlette(
            routes=[
                Route("/_stats", self._get_stats, methods=["GET"]),
                Route("/_world", self._get_world, methods=["GET"]),
                Route("/_edit", self._edit, methods=["POST"]),
                Route("/_remove", self._remove, methods=["POST"]),
                Route("/_add", self._add, methods=["POST"]),
                Route("/_policy", self._policy, methods=["POST"]),
            ],
            exception_handlers={HTTPException: _on_http_exception},
        )

    async def _get_stats(self, request: Request) -> Response:
        return JSONResponse(self._stats())

    async def _get_world(self, request: Request) -> Response:
        ids = {kind: self._world.ids(kind) for kind in KINDS}
        rows: dict[str, list[str]] = {id: [] for id in ids["data_source"]}
        for row in self._world.records("row"):
            rows[row.parent].append(row.id)
        counts = {kind: len(of_kind) for kind, of_kind in ids.items()}
        return JSONResponse({"counts": counts, "ids": ids, "rows": rows})

    async def _edit(self, request: Request) -> Response:
        id = await _field(request, "id")
        try:
            record = self._world.edit(id, time.time())
        except KeyError:
            raise _unknown(id) from None
        return JSONResponse({"id": id, "title": record.title})

    async def _remove(self, request: Request) -> Response:
        id = await _field(request, "id")
        try:
            self._world.remove(id)
        except KeyError:
            raise _unknown(id) from None
        return JSONResponse({"id": id})

    async def _add(self, request: Request) -> Response:
        now = time.time()
        match await _field(request, "kind"):
            case "page":
                id = self._world.add_page(now=now)
            case "user":
                id = self._world.add_user(now=now)
            case "row":
                source = await _field(request, "data_source")
                try:
                    id = self._world.add_row(source, now=now)
                except KeyError:
                    raise _unknown(source) from None
            case other:
                raise HTTPException(400, f"kind must be page, user or row, not {other!r}")
        return JSONResponse({"id": id})

    async def _policy(self, request: Request) -> Response:
        spec = await _field(request, "policy")
        try:
            self._set_policy(spec)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return JSONResponse({"policy": self._stats()["policy"]})


async def _field(request: Request, name: str) -> str:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise HTTPException(400, f'the body must be a JSON object with a string "{name}"')
    return value


def _unknown(id: str) -> HTTPException:
    return HTTPException(404, f"there is no {id!r}")


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)

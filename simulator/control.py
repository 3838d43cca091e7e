"""Endpoints beside the vendor's own: look at the truth, change the world, change the limit.

No auth and no limit: they are for the test or the demo that runs the simulator.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.vendor import Data


class Control:
    """The handlers; `app` is them as an ASGI application.

    Args:
        data: The data behind the API.
        stats: Returns what `GET /_stats` answers.
        set_policy: Changes the hidden limit to a spec; raises `ValueError` if that is bad.
    """

    def __init__(self, data: Data, stats: Callable[[], dict[str, Any]], set_policy: Callable[[str], None]) -> None:
        self._data = data
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
        return JSONResponse(self._data.overview())

    async def _edit(self, request: Request) -> Response:
        body = await _body(request)
        id = _field(body, "id")
        fields = body.get("set", {})
        if not isinstance(fields, dict):
            raise HTTPException(400, 'if there is a "set", it must be an object')
        with _refused(id):
            title = self._data.change(id, fields, time.time())
        return JSONResponse({"id": id, "title": title})

    async def _remove(self, request: Request) -> Response:
        id = _field(await _body(request), "id")
        with _refused(id):
            self._data.remove(id, time.time())
        return JSONResponse({"id": id})

    async def _add(self, request: Request) -> Response:
        body = await _body(request)
        kind = _field(body, "kind")
        with _refused(""):
            return JSONResponse({"id": self._data.add(kind, body, time.time())})

    async def _policy(self, request: Request) -> Response:
        spec = _field(await _body(request), "policy")
        with _refused(""):
            self._set_policy(spec)
        return JSONResponse({"policy": self._stats()["policy"]})


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    return body if isinstance(body, dict) else {}


def _field(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise HTTPException(400, f'the body must be a JSON object with a string "{name}"')
    return value


@contextmanager
def _refused(id: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise HTTPException(404, f"there is no {id or error.args[0]!r}") from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)

"""Notion's limit, and its words for what the gate refuses. The endpoints are in `endpoints.py`."""

import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.checks import whole
from simulator.vendor import Bucket, Data, Vendor, of_type
from simulator.vendors.notion.endpoints import Endpoints
from simulator.vendors.notion.shapes import error_response, invalid, rate_limited
from simulator.vendors.notion.world import World

ROW_CAP = 10_000
"""Rows that one query returns over all its pages; then it ends with `request_status` incomplete."""

_FAILURES = {
    500: ("internal_server_error", "Unexpected error occurred."),
    503: ("service_unavailable", "Notion is unavailable. Please try again later."),
    529: ("service_overload", "Notion is overloaded. Please try again later."),
}


class Notion(Vendor):
    """The vendor.

    Args:
        world: The data.
        row_cap: See `ROW_CAP`.
    """

    name = "notion"
    title = "Notion"
    prefix = "/v1"
    documented: ClassVar[Mapping[str, str]] = {"connection": "fixed:count=180,window=60"}

    def __init__(self, world: World, row_cap: int = ROW_CAP) -> None:
        self.data = world
        self.app = Endpoints(world, whole("row_cap", row_cap)).app
        self._versions: Counter[str] = Counter()

    @classmethod
    def world(cls, seed: int = 0, **counts: int) -> World:
        """Make data; see `World`."""
        known = ("users", "pages", "data_sources", "rows", "blocks")
        for name in counts:
            if name not in known:
                raise ValueError(f"there is no kind {name!r}; known: {', '.join(known)}")
        return World(seed, **counts)

    @classmethod
    def from_seed(cls, seed: int, world: Data | None = None) -> "Notion":
        """See `Vendor.from_seed`."""
        return cls(of_type(World, world) or World(seed))

    def owns(self, path: str) -> bool:
        """See `Vendor.owns`."""
        return path == "/v1" or path.startswith("/v1/")

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        return error_response(401, "unauthorized", "API token is invalid.")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`."""
        return error_response(403, "restricted_resource", "Insufficient permissions for this endpoint.")

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`."""
        return (Bucket("connection"),)

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        return rate_limited("public_api_request_rate_limit", retry_after)

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return error_response(status, *_FAILURES[status])

    def blocked(self) -> Response:
        """See `Vendor.blocked`."""
        return rate_limited("public_api_request_blocked")

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`."""
        refused = invalid("The start_cursor provided is invalid.")
        return error_response(refused.status, refused.code, refused.message)

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({"object": "list", "next_cursor": None, "has_more": False})

    def counts(self) -> dict[str, Any]:
        """See `Vendor.counts`: answers by the version that was asked for."""
        return {"versions": dict(self._versions)}

    def stamp(self, request: Request, status: int) -> Mapping[str, str]:
        """See `Vendor.stamp`."""
        self._versions[request.headers.get("notion-version", "")] += 1
        return {"x-notion-request-id": str(uuid.uuid4())}

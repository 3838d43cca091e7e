"""OpenAI's endpoints for administrators: listings by the id of the last object, and costs by day.

Source: OpenAI's OpenAPI description. Unknown, and so assumed: that these endpoints send the `x-ratelimit-*` headers
that the model endpoints send (here only if the limit is a fixed window, which can be told); the answer 400 to an
`after` of nothing; the words of a 403. No limit is documented.
"""

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.dataset import Dataset
from simulator.item import Item
from simulator.paging import (
    Key,
    after,
    by_order,
    newest_first,
    numbered,
    read_cursor,
    whole_number,
    write_cursor,
)
from simulator.served import Refused, Served
from simulator.vendor import Bucket, PolicyOf
from simulator.vendors.openai.world import COUNTS, KINDS
from simulator.windows import FixedWindow

_ORGANIZATION = Bucket("organization")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda at, bound: at > bound,
    "gte": lambda at, bound: at >= bound,
    "lt": lambda at, bound: at < bound,
    "lte": lambda at, bound: at <= bound,
}
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
LISTED = ("users", "projects", "admin_api_keys", "invites")
BELOW = {
    "users": "project_users",
    "api_keys": "project_api_keys",
    "service_accounts": "project_service_accounts",
}


class OpenAI(Served):
    """The vendor."""

    name = "openai"
    title = "OpenAI"
    prefix = "/v1"
    documented: ClassVar[Mapping[str, str]] = {"organization": "none"}
    kinds = KINDS
    counts_by_default = COUNTS

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        self._policy_of: PolicyOf | None = None

    def attach(self, policy_of: PolicyOf) -> None:
        """See `Vendor.attach`."""
        self._policy_of = policy_of

    def variables(self, url: str, token: str) -> dict[str, str]:
        """See `Vendor.variables`."""
        return {"OPENAI_ADMIN_KEY": token, "AIMD_OPENAI_BASE_URL": url + self.prefix}

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        return refusal(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`."""
        message = "You have insufficient permissions for this operation. Missing scopes: api.management.read."
        return refusal(403, message, "invalid_request_error", "missing_scope")

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return refusal(404, f"Invalid URL ({request.method} {request.url.path})", "invalid_request_error", None)

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`."""
        return (_ORGANIZATION,)

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        answer = refusal(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded")
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        message = "The server had an error while processing your request. Sorry about that!"
        return refusal(status, message, "server_error", None)

    def blocked(self) -> Response:
        """See `Vendor.blocked`: nothing is left to pay with, and no `Retry-After`."""
        return refusal(429, _QUOTA, "insufficient_quota", "insufficient_quota")

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`."""
        return refusal(400, "Invalid value for 'after'.", "invalid_request_error", "invalid_value")

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({"object": "list", "has_more": False})

    def stamp(self, request: Request, status: int) -> Mapping[str, str]:
        """See `Vendor.stamp`."""
        stamp = {"x-request-id": f"req_{uuid.uuid4().hex}", "openai-version": "2020-10-01"}
        policy = self._policy_of(_ORGANIZATION) if self._policy_of else None
        if not isinstance(policy, FixedWindow):
            return stamp
        now = time.monotonic()
        limit, used, ends = policy.quota(now)
        return {
            **stamp,
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(limit - used),
            "x-ratelimit-reset-requests": duration(math.ceil(ends - now)),
        }

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        return [
            *(self._listed(kind) for kind in LISTED),
            *(self._below(name, kind) for name, kind in BELOW.items()),
            Route("/v1/organization/audit_logs", self._audit_logs, methods=["GET"]),
            Route("/v1/organization/costs", self._costs, methods=["GET"]),
        ]

    def _listed(self, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            items = self.records.records(kind)
            if kind == "projects" and request.query_params.get("include_archived") != "true":
                items = [item for item in items if item.fields["status"] == "active"]
            return self._page(request, items, by_order)

        return Route(f"/v1/organization/{kind}", endpoint, methods=["GET"])

    def _below(self, name: str, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return self._page(request, self.children(request, kind, "projects")[1], by_order)

        return Route(f"/v1/organization/projects/{{id}}/{name}", endpoint, methods=["GET"])

    async def _audit_logs(self, request: Request) -> Response:
        query = request.query_params
        bounds = [
            (compare, self._number(query[f"effective_at[{name}]"], f"effective_at[{name}]", 0, 0, 10**12))
            for name, compare in _COMPARE.items()
            if f"effective_at[{name}]" in query
        ]
        types, projects = query.getlist("event_types[]"), query.getlist("project_ids[]")

        def select() -> list[Item]:
            return [
                item
                for item in self.records.records("audit_logs")
                if all(compare(item.fields["effective_at"], bound) for compare, bound in bounds)
                and (not types or item.fields["type"] in types)
                and (not projects or item.fields["project"]["id"] in projects)
            ]

        asked = sorted((name, value) for name, value in query.multi_items() if name not in ("after", "limit"))
        return self._page(request, self.shelf.listing(f"audit_logs {asked}", select, newest_first), newest_first)

    async def _costs(self, request: Request) -> Response:
        query = request.query_params
        if "start_time" not in query:
            message = "Missing required parameter: 'start_time'."
            raise Refused(refusal(400, message, "invalid_request_error", "missing_required_parameter"))
        begin = self._number(query["start_time"], "start_time", 0, 0, 10**12)
        end = self._number(query.get("end_time"), "end_time", 10**12, 0, 10**12)
        if query.get("bucket_width", "1d") != "1d":
            raise Refused(refusal(400, "Invalid value for 'bucket_width'.", "invalid_request_error", "invalid_value"))
        size = self._number(query.get("limit"), "limit", 7, 1, 180)
        days = sorted(
            (day for day in self.records.records("costs") if begin <= day.fields["start_time"] < end),
            key=lambda day: (day.fields["start_time"], day.order),
        )
        listing = f"costs {begin} {end}"
        try:
            number = int(read_cursor(listing, query["page"])[0]) if query.get("page") else 1
        except ValueError:
            raise Refused(self.expired(request)) from None
        page = numbered(days, size, number)
        following = f"{write_cursor(listing, (number + 1,))}" if page.more else None
        return JSONResponse(
            {
                "object": "page",
                "data": [day.shown for day in page.items],
                "has_more": page.more,
                "next_page": following,
            }
        )

    def _page(self, request: Request, items: Sequence[Item], key: Callable[[Item], Key]) -> Response:
        query = request.query_params
        size = self._number(query.get("limit"), "limit", 20, 1, 100)
        last = None
        if wanted := query.get("after"):
            found = next((item for item in items if item.id == wanted), None)
            if found is None:
                raise Refused(self.expired(request))
            last = key(found)
        page = after(items, size, last, key)
        ids = [item.id for item in page.items]
        return JSONResponse(
            {
                "object": "list",
                "data": [item.shown for item in page.items],
                "first_id": ids[0] if ids else None,
                "last_id": ids[-1] if ids else None,
                "has_more": page.more,
            }
        )

    def _number(self, text: str | None, name: str, default: int, least: int, most: int) -> int:
        try:
            return whole_number(text, default, least, most)
        except ValueError as error:
            message = f"Invalid value for '{name}': {error}."
            raise Refused(refusal(400, message, "invalid_request_error", "invalid_value")) from None


def refusal(status: int, message: str, type: str, code: str | None) -> Response:
    """Return an error."""
    return JSONResponse({"error": {"message": message, "type": type, "param": None, "code": code}}, status)


def duration(seconds: int) -> str:
    """Write a time as the headers do: `1s`, `6m0s`, `1h0m0s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"

"""Slack's methods and its Audit Logs API: errors in answers 200, a limit for each method, cursors that end as "".

Source: docs.slack.dev. The Audit Logs API has an address of its own (`https://api.slack.com/audit/v1`); here it is
`/audit/v1` beside `/api`, and also below `/api`, for a client with one address. From memory, and so assumed: tier 2
for `users.list`, `paid_only` and the scope `admin` for `team.accessLogs`, `invalid_limit`, and the audit API's HTTP
statuses 401 and 403.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.dataset import Dataset
from simulator.item import Fields, Item
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
from simulator.vendor import Bucket, bearer
from simulator.vendors.slack.world import COUNTS, KINDS

AUDIT = "/audit/v1/"
SCOPES = {"users.list": "users:read", "team.accessLogs": "admin", "logs": "auditlogs:read"}
LARGE = 1000
"""Users from which on `users.list` insists on a limit."""


class Slack(Served):
    """The vendor.

    Args:
        data: The data.
        paid: Whether the workspace has a plan with access logs.
        large: Users from which on `users.list` insists on a limit.
        deepest: Pages of access logs that are given by number.
    """

    name = "slack"
    title = "Slack"
    prefix = "/api"
    documented: ClassVar[Mapping[str, str]] = {
        "users.list": "fixed:count=20,window=60",
        "team.accessLogs": "fixed:count=20,window=60",
        "audit": "fixed:count=50,window=60",
    }
    kinds = KINDS
    counts_by_default = COUNTS

    def __init__(self, data: Dataset, paid: bool = True, large: int = LARGE, deepest: int = 100) -> None:
        super().__init__(data)
        self._paid = paid
        self._deepest = deepest
        self._large = large

    def variables(self, url: str, token: str) -> dict[str, str]:
        """See `Vendor.variables`."""
        audit = {"SLACK_AUDIT_TOKEN": token, "AIMD_SLACK_AUDIT_BASE_URL": f"{url}/audit/v1"}
        return {**super().variables(url, token), **audit}

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        if _is_audit(request):
            return refusal("invalid_authentication" if bearer(request) else "missing_authentication", 401)
        return refusal("invalid_auth" if bearer(request) else "not_authed")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`."""
        needed = SCOPES.get(_method(request), "users:read")
        return refusal("missing_scope", 403 if _is_audit(request) else 200, needed=needed, provided="identify")

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return refusal("unknown_method", method=_method(request))

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`: each method has its own, and the audit logs are the whole organization's."""
        return (Bucket("audit" if _is_audit(request) else _method(request)),)

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        answer = refusal("ratelimited", 429)
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return refusal("service_unavailable" if status == 503 else "internal_error", status)

    def blocked(self) -> Response:
        """See `Vendor.blocked`: nothing is known of a block for good."""
        return refusal("ratelimited", 429)

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`."""
        return refusal("invalid_cursor", 400 if _is_audit(request) else 200)

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({"ok": True})

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        return [
            Route("/api/users.list", self._users, methods=["GET", "POST"]),
            Route("/api/team.accessLogs", self._access_logs, methods=["GET", "POST"]),
            Route("/api/audit/v1/logs", self._audit_logs, methods=["GET"]),
            Route("/audit/v1/logs", self._audit_logs, methods=["GET"]),
        ]

    async def _users(self, request: Request) -> Response:
        given = await _arguments(request)
        users = self.records.records("users", deleted=True)
        if not given.get("limit"):
            if len(users) >= self._large:
                return refusal("limit_required")
            given = {**given, "limit": "999"} if given.get("cursor") else given
        most = 999 if given.get("limit") else len(users) or 1
        items, cursor = self._cut(request, given, "users", users, by_order, most, most)
        newest = max((int(user.fields["updated"]) for user in users), default=0)
        return _answer("members", items, cursor, cache_ts=newest)

    async def _access_logs(self, request: Request) -> Response:
        if not self._paid:
            return refusal("paid_only")
        given = await _arguments(request)
        before = self._number(given, "before", 2**33, 2**33)
        items = sorted(
            (item for item in self.records.records("access_logs") if item.fields["date_last"] <= before),
            key=newest_first,
        )
        if given.get("cursor") or given.get("limit"):
            page, cursor = self._cut(request, given, f"access_logs {before}", items, newest_first, 100, 1000)
            return _answer("logins", page, cursor)
        size, number = self._number(given, "count", 100, 1000), self._number(given, "page", 1, 10**6)
        if number > self._deepest:
            return refusal("over_pagination_limit")
        pages = -(-len(items) // size)
        paging = {"count": size, "total": len(items), "page": number, "pages": pages}
        return JSONResponse(
            {"ok": True, "logins": [item.shown for item in numbered(items, size, number).items], "paging": paging}
        )

    async def _audit_logs(self, request: Request) -> Response:
        given = await _arguments(request)
        oldest, latest = self._number(given, "oldest", 0, 2**33), self._number(given, "latest", 2**33, 2**33)
        wanted = given["action"].split(",") if given.get("action") else []
        listing = f"audit_logs {oldest} {latest} {wanted}"
        items = self.shelf.listing(
            listing,
            lambda: [
                item
                for item in self.records.records("audit_logs")
                if oldest <= item.fields["date_create"] <= latest and (not wanted or item.fields["action"] in wanted)
            ],
            newest_first,
        )
        page, cursor = self._cut(request, given, listing, items, newest_first, 9999, 9999)
        return JSONResponse({"entries": [item.shown for item in page], "response_metadata": {"next_cursor": cursor}})

    def _cut(
        self,
        request: Request,
        given: Mapping[str, str],
        listing: str,
        items: Sequence[Item],
        key: Callable[[Item], Key],
        default: int,
        most: int,
    ) -> tuple[Sequence[Item], str]:
        size = self._number(given, "limit", default, most)
        try:
            last = read_cursor(listing, given["cursor"]) if given.get("cursor") else None
        except ValueError:
            raise Refused(self.expired(request)) from None
        page = after(items, size, last, key)
        return page.items, write_cursor(listing, key(page.items[-1])) if page.more else ""

    def _number(self, given: Mapping[str, str], name: str, default: int, most: int) -> int:
        text = given.get(name)
        try:
            # The oldest moment is 0; of everything else there is at least one.
            return whole_number(text.partition(".")[0] if text else None, default, int(name != "oldest"), most)
        except ValueError:
            raise Refused(refusal("invalid_limit" if name in ("limit", "count") else "invalid_arguments")) from None


def refusal(error: str, status: int = 200, **more: str) -> Response:
    """Return an error: most often an answer 200 that is not `ok`."""
    return JSONResponse({"ok": False, "error": error, **more}, status)


def _answer(name: str, items: Sequence[Item], cursor: str, **more: object) -> Response:
    body: Fields = {"ok": True, name: [item.shown for item in items], **more}
    return JSONResponse({**body, "response_metadata": {"next_cursor": cursor}})


def _method(request: Request) -> str:
    return request.url.path.rpartition("/")[2]


def _is_audit(request: Request) -> bool:
    return AUDIT in request.url.path


async def _arguments(request: Request) -> dict[str, str]:
    arguments = dict(request.query_params)
    if request.method == "POST":
        arguments |= dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    return arguments

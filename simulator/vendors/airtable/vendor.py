"""Airtable's endpoints, limits and errors.

Sources: support.airtable.com, airtable.com/developers/web/api. One base admits five requests a second, and after one
too many nothing for 30 s; the calls of a month are counted too, but for those below `/v0/meta`. Not documented, and so
assumed: no `Retry-After`; the words of errors; the only formula that is understood is
`IS_AFTER(LAST_MODIFIED_TIME(),'2026-11-01T00:00:00Z')`.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.dataset import Dataset
from simulator.draw import epoch
from simulator.item import Item
from simulator.paging import whole_number
from simulator.served import Refused, Served
from simulator.vendor import Bucket
from simulator.vendors.airtable.iterators import Iterators
from simulator.vendors.airtable.world import COLUMNS, COUNTS, KINDS, VIEWS, as_record

LIFETIME = 300.0
"""Seconds for which an offset can be used: "minutes"."""
_FORMULA = re.compile(r"\s*IS_AFTER\(\s*LAST_MODIFIED_TIME\(\)\s*,\s*(['\"])(?P<moment>[^'\"]+)\1\s*\)\s*")
_MISSING = (
    "Invalid permissions, or the requested model was not found. Check that both your user and your token have the "
    "required permissions, and that the model names and/or ids are correct."
)
_EXPIRED = "The list records iterator is no longer available. Start again from the first page."
_USED_UP = "The API calls of this month are used up. Upgrade the plan, or wait until the next month."


class Airtable(Served):
    """The vendor.

    Args:
        data: The data.
        lifetime: Seconds for which an offset can be used.
    """

    name = "airtable"
    title = "Airtable"
    prefix = "/v0"
    retry_after = "none"
    documented: ClassVar[Mapping[str, str]] = {
        "base": "penalty:count=5,window=1,lockout=30",
        "meta": "none",
        "user": "sliding:count=50,window=1",
        "month": "fixed:count=100000,window=2592000",
    }
    extra = frozenset({"user", "month"})
    kinds = KINDS
    counts_by_default = COUNTS

    def __init__(self, data: Dataset, lifetime: float = LIFETIME) -> None:
        super().__init__(data)
        self._iterators = Iterators(lifetime, time.monotonic)

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        return refusal(401, "AUTHENTICATION_REQUIRED", "Authentication required")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`: what is missing and what may not be seen are the same."""
        return refusal(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", _MISSING)

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return JSONResponse({"error": "NOT_FOUND"}, 404)

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`."""
        parts = request.url.path.split("/")[2:]
        user = Bucket("user")
        if parts[:1] == ["meta"]:
            return (user, Bucket("base", parts[2])) if len(parts) > 2 else (user, Bucket("meta"))
        return user, Bucket("base", parts[0] if parts else ""), Bucket("month")

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`; no waiting that a client would do ends a month."""
        if bucket.family == "month":
            return self.blocked()
        answer = refusal(429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later")
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return refusal(status, "SERVER_ERROR", "Something went wrong. Please try again later.")

    def blocked(self) -> Response:
        """See `Vendor.blocked`: the month's calls are used up."""
        return refusal(429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED", _USED_UP)

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`."""
        return refusal(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", _EXPIRED)

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({})

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        return [
            Route("/v0/meta/bases", self._bases, methods=["GET"]),
            Route("/v0/meta/bases/{base}/tables", self._tables, methods=["GET"]),
            Route("/v0/{base}/{table}", self._records, methods=["GET"]),
            Route("/v0/{base}/{table}/{record}", self._record, methods=["GET"]),
        ]

    async def _bases(self, request: Request) -> Response:
        return JSONResponse({"bases": [base.shown for base in self.records.records("bases")]})

    async def _tables(self, request: Request) -> Response:
        tables = self.records.records("tables", self._base(request).id)
        return JSONResponse({"tables": [table.shown for table in tables]})

    async def _records(self, request: Request) -> Response:
        table, query = self._table(request), request.query_params
        try:
            size = whole_number(query.get("pageSize"), 100, 1, 100)
        except ValueError:
            raise Refused(invalid("pageSize must be from 1 to 100")) from None
        columns = frozenset(query.getlist("fields[]")) or None
        if columns and not columns <= COLUMNS.keys():
            raise Refused(refusal(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{min(columns - COLUMNS.keys())}"'))
        asked = sorted((name, value) for name, value in query.multi_items() if name not in ("offset", "pageSize"))
        listing = f"{table.id} {asked}"
        if offset := query.get("offset"):
            try:
                page, following = self._iterators.resume(listing, offset, size)
            except KeyError:
                raise Refused(self.expired(request)) from None
        else:
            page, following = self._iterators.begin(listing, self._selected(request, table), size)
        body: dict[str, object] = {"records": [as_record(item, columns) for item in page]}
        return JSONResponse(body if following is None else {**body, "offset": following})

    async def _record(self, request: Request) -> Response:
        table = self._table(request)
        try:
            record = self.records.get("records", request.path_params["record"])
        except KeyError:
            raise Refused(self.forbidden(request)) from None
        if record.parent != table.id:
            raise Refused(self.forbidden(request))
        return JSONResponse(as_record(record))

    def _selected(self, request: Request, table: Item) -> Sequence[Item]:
        query = request.query_params
        items: Sequence[Item] = self.records.records("records", table.id)
        if formula := query.get("filterByFormula"):
            since = _moment(formula)
            items = [item for item in items if item.edited > since]
        if view := query.get("view"):
            items = [item for item in items if _in_view(table, view, item)]
        if field := query.get("sort[0][field]"):
            if field not in COLUMNS or query.get("sort[0][direction]", "asc") not in ("asc", "desc"):
                raise Refused(invalid("sort is not valid"))
            items = sorted(items, key=_cell(field), reverse=query.get("sort[0][direction]") == "desc")
        return items

    def _base(self, request: Request) -> Item:
        try:
            return self.records.get("bases", request.path_params["base"])
        except KeyError:
            raise Refused(self.forbidden(request)) from None

    def _table(self, request: Request) -> Item:
        wanted = request.path_params["table"]
        for table in self.records.records("tables", self._base(request).id):
            if wanted in (table.id, table.fields["name"]):
                return table
        raise Refused(self.forbidden(request))


def refusal(status: int, type: str, message: str) -> Response:
    """Return an error."""
    return JSONResponse({"error": {"type": type, "message": message}}, status)


def invalid(message: str) -> Response:
    """Return the error for a request that is understood but not valid."""
    return refusal(422, "INVALID_REQUEST_UNKNOWN", f"Invalid request: {message}")


def _moment(formula: str) -> float:
    found = _FORMULA.fullmatch(formula)
    try:
        return epoch(found["moment"] if found else "")
    except ValueError:
        message = "The formula for filtering records is invalid"
        raise Refused(refusal(422, "INVALID_FILTER_BY_FORMULA", message)) from None


def _in_view(table: Item, view: str, item: Item) -> bool:
    for each in table.fields["views"]:
        if view in (each["id"], each["name"]):
            return VIEWS[each["name"]] in (None, item.fields["Status"])
    raise Refused(refusal(422, "VIEW_NAME_NOT_FOUND", f"View {view} not found"))


def _cell(field: str) -> Callable[[Item], tuple[bool, str]]:
    """Sorts as text, empty cells first."""
    return lambda item: (item.fields[field] is not None, str(item.fields[field]))

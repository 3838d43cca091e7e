"""What both of Vanta's APIs have in common: tokens, the envelope of a listing, errors."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.dataset import Dataset
from simulator.item import Fields, Item
from simulator.paging import after, by_order, read_cursor, whole_number, write_cursor
from simulator.served import Refused, Served
from simulator.vendor import Bucket, bearer
from simulator.vendors.vanta.oauth import LIFETIME, Tokens, refusal

CLIENT_ID = "vci_simulator"
TOKEN_PATH = "/oauth/token"


class VantaApi(Served):
    """Base of the two.

    Attributes:
        scopes: What its applications may ask for.

    Args:
        data: The data.
        lifetime: Seconds that a token is valid.
    """

    always: ClassVar[Mapping[str, str]] = {"token": "fixed:count=5,window=60"}
    scopes: ClassVar[frozenset[str]]

    def __init__(self, data: Dataset, lifetime: float = LIFETIME) -> None:
        super().__init__(data)
        self.tokens = Tokens(self.scopes, lifetime)
        self._secret: str | None = None

    def variables(self, url: str, token: str) -> dict[str, str]:
        """See `Vendor.variables`."""
        name = self.name.upper()
        return {f"{name}_CLIENT_ID": CLIENT_ID, f"{name}_CLIENT_SECRET": token, f"AIMD_{name}_BASE_URL": url}

    @abstractmethod
    def needed(self, request: Request) -> str:
        """Return the scope that a request needs."""

    def authorize(self, request: Request, token: str | None) -> Response | None:
        """See `Vendor.authorize`; the secret is the application's, and what is asked for here is a token."""
        if request.url.path == TOKEN_PATH:
            self._secret = token
            return None
        grant = self.tokens.grant(bearer(request))
        if grant is None:
            return self.unauthorized(request)
        return None if self.needed(request) in grant.scopes else self.forbidden(request)

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        return refusal(401, "unauthorized", "Unauthorized")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`."""
        return refusal(403, "forbidden", "The token does not have the required scope.")

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return refusal(404, "not_found", "Not found")

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        answer = refusal(429, "too_many_requests", "Too many requests")
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return refusal(status, "internal_error", "Something went wrong")

    def blocked(self) -> Response:
        """See `Vendor.blocked`: nothing is known of a block for good, so it is a 429 without advice."""
        return refusal(429, "too_many_requests", "Too many requests")

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`."""
        return refusal(400, "invalid_request", "Invalid pageCursor")

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({"results": {}})

    def counts(self) -> dict[str, Any]:
        """See `Vendor.counts`: tokens that were minted, and those of them that a newer one revoked."""
        return {"minted": self.tokens.minted, "revoked": self.tokens.revoked}

    def token_route(self) -> Route:
        """Return the token endpoint."""

        async def mint(request: Request) -> Response:
            return await self.tokens.mint(request, self._secret)

        return Route(TOKEN_PATH, mint, methods=["POST"])

    def page(self, request: Request, listing: str, items: Sequence[Item], show: Any = None) -> Response:
        """Return a page in Vanta's envelope.

        Args:
            request: Its query has `pageSize` and `pageCursor`.
            listing: Name of the listing; a cursor of another one is refused.
            items: The listing.
            show: Makes the shape of a record; by default its own fields.
        """
        query = request.query_params
        try:
            size = whole_number(query.get("pageSize"), 10, 1, 100)
        except ValueError:
            raise Refused(refusal(400, "invalid_request", "pageSize must be between 1 and 100")) from None
        try:
            last = read_cursor(listing, query["pageCursor"]) if query.get("pageCursor") else None
        except ValueError:
            raise Refused(self.expired(request)) from None
        page = after(items, size, last)
        data: list[Fields] = [show(item) if show else item.shown for item in page.items]
        info = {
            "startCursor": write_cursor(listing, by_order(page.items[0])) if page.items else None,
            "endCursor": write_cursor(listing, by_order(page.items[-1])) if page.items else None,
            "hasNextPage": page.more,
            "hasPreviousPage": not page.first,
        }
        return JSONResponse({"results": {"data": data, "pageInfo": info}})

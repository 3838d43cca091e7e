"""GitHub's limits, errors and headers. The endpoints are in `simulator.vendors.github.endpoints`.

Sources: docs.github.com/rest, "Rate limits for the REST API" and "Best practices". The primary limits (5,000 an hour,
1,750 for the audit log) hold whatever the policy is, for each token; the policy is a secondary limit for everyone
together, and is answered with 403 and 429 in turn, since both occur. Assumed: the words of errors in full; 422 for a
cursor that is not valid; 429 without a hint where a fault asks for a refusal for good.
"""

import hashlib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.dataset import Dataset
from simulator.served import Served
from simulator.vendor import Bucket, PolicyOf
from simulator.vendors.github.endpoints import Endpoints, refusal
from simulator.vendors.github.quota import Quotas
from simulator.vendors.github.world import COUNTS, EVERY, KINDS, ORGANIZATION

__all__ = ["ORGANIZATION", "GitHub"]

VERSIONS = frozenset({"2022-11-28", "2026-03-10"})
_LIMITS = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

Handler = Callable[[Request], Awaitable[Response]]


class GitHub(Served):
    """The vendor.

    Args:
        data: The data.
        owner: Whether the token is an owner's: only those may ask who has no second factor.
    """

    name = "github"
    title = "GitHub"
    documented: ClassVar[Mapping[str, str]] = {
        "secondary": "fixed:count=900,window=60",
        "concurrent": "inflight:cap=100",
    }
    extra = frozenset({"concurrent"})
    always: ClassVar[Mapping[str, str]] = {
        "core": "fixed:count=5000,window=3600",
        "audit_log": "fixed:count=1750,window=3600",
    }
    kinds = KINDS
    counts_by_default = COUNTS

    def __init__(self, data: Dataset, owner: bool = True) -> None:
        self._quotas = Quotas()
        self._endpoints = Endpoints(self, owner)
        self._form = itertools.cycle((403, 429))
        self._unchanged = 0
        super().__init__(data)

    @classmethod
    def world(cls, seed: int = 0, **counts: int) -> Dataset:
        """See `Served.world`; some default branches are not protected."""
        data = super().world(seed, **counts)
        for id in data.ids("branch_protections")[::EVERY]:
            data.remove(id)
        return data

    def attach(self, policy_of: PolicyOf) -> None:
        """See `Vendor.attach`."""
        self._quotas.policy_of = policy_of

    def authorize(self, request: Request, token: str | None) -> Response | None:
        """See `Vendor.authorize`; also refuses a version that there is not."""
        version = request.headers.get("x-github-api-version")
        if version is not None and version not in VERSIONS:
            return refusal(410, f"The API version {version} is not supported.", "https://docs.github.com/rest/about")
        return super().authorize(request, token)

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        return refusal(401, "Bad credentials")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`."""
        return refusal(403, "Resource not accessible by personal access token")

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return refusal(404, "Not Found")

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`: what the primary limit counts comes last, so that no refusal is counted."""
        if request.url.path == "/rate_limit":
            return ()
        return Bucket("concurrent"), Bucket("secondary"), self._quotas.bucket(request)

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        if bucket.family in self.always:
            return refusal(403, "API rate limit exceeded for user ID 1.", _LIMITS)
        answer = refusal(next(self._form), _SECONDARY, f"{_LIMITS}#about-secondary-rate-limits")
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def until(self, request: Request, answer: Response, now: float) -> float | None:
        """See `Vendor.until`; at the primary limit it is the time of the reset."""
        told = self._quotas.headers(request)
        if told.get("x-ratelimit-remaining") == "0":
            return float(told["x-ratelimit-reset"])
        return super().until(request, answer, now)

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return refusal(status, "Server Error")

    def blocked(self) -> Response:
        """See `Vendor.blocked`."""
        return refusal(429, "Too many requests")

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`."""
        return refusal(422, "Validation Failed: the cursor is not valid")

    def empty(self) -> Response:
        """See `Vendor.empty`: an object where a list should be."""
        return JSONResponse({})

    def stamp(self, request: Request, status: int) -> Mapping[str, str]:
        """See `Vendor.stamp`."""
        return {"x-github-media-type": "github.v3; format=json", **self._quotas.headers(request)}

    def counts(self) -> dict[str, int]:
        """See `Vendor.counts`: answers 304, which cost nothing."""
        return {"unchanged": self._unchanged}

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        return [
            Route("/rate_limit", self._rate_limit, methods=["GET"]),
            *(Route(path, self._cached(handler), methods=["GET"]) for path, handler in self._endpoints.by_path()),
        ]

    def _cached(self, handler: Handler) -> Handler:
        async def endpoint(request: Request) -> Response:
            response = await handler(request)
            etag = f'W/"{hashlib.sha256(bytes(response.body)).hexdigest()}"'
            known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
            if etag in known:
                self._quotas.refund(request)
                self._unchanged += 1
                kept = {"link": response.headers["link"]} if "link" in response.headers else {}
                return Response(status_code=304, headers={"ETag": etag, **kept})
            response.headers["ETag"] = etag
            return response

        return endpoint

    async def _rate_limit(self, request: Request) -> Response:
        told = self._quotas.headers(request)
        core = {name: int(told[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "used", "reset") if told}
        return JSONResponse({"resources": {"core": core}, "rate": core})

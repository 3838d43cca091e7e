"""GitHub's primary limits: so many requests an hour for each token and resource, told on every answer."""

import math
import time
from collections.abc import Mapping

from starlette.requests import Request

from simulator.vendor import Bucket, PolicyOf, bearer
from simulator.windows import FixedWindow


class Quotas:
    """Names the buckets of a request, and says how full they are. Belongs to one event loop; not locked."""

    def __init__(self) -> None:
        self._tokens: dict[str, int] = {}
        self.policy_of: PolicyOf | None = None
        """Gives the policy of a bucket; set when the simulator is made."""

    def bucket(self, request: Request) -> Bucket:
        """Return the bucket of the request's token and resource; a token is a number, never itself."""
        number = self._tokens.setdefault(bearer(request), len(self._tokens) + 1)
        return Bucket(resource(request), "" if number == 1 else str(number))

    def refund(self, request: Request) -> None:
        """Take back that a request was counted: an answer 304 costs nothing."""
        if (window := self._window(request)) is not None:
            window.refund()

    def headers(self, request: Request) -> Mapping[str, str]:
        """Return the `x-ratelimit-*` headers; none if the limit is not of a kind that can be told."""
        if (window := self._window(request)) is None:
            return {}
        now = time.monotonic()
        limit, used, ends = window.quota(now)
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(limit - used),
            "x-ratelimit-used": str(used),
            "x-ratelimit-reset": str(math.ceil(time.time() + ends - now)),
            "x-ratelimit-resource": resource(request),
        }

    def _window(self, request: Request) -> FixedWindow | None:
        policy = self.policy_of(self.bucket(request)) if self.policy_of else None
        return policy if isinstance(policy, FixedWindow) else None


def resource(request: Request) -> str:
    """Return which of the hourly limits a request counts for."""
    return "audit_log" if request.url.path.endswith("/audit-log") else "core"

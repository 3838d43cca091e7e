"""Zapier's catch hooks: what is posted is accepted, and whether a Zap ran nobody says.

Source: help.zapier.com and docs.zapier.com. The address is the secret: `/hooks/catch/{user}/{hook}/`, where the hook is
the simulator's token. The same event may come twice, as the vendor does not look: the stats count by `event_id`.
Assumed: the body of the answer (from memory); 404 for a hook that there is not; 413 for over 10 MB; and of the two
numbers of requests a user that copies of the documentation give, the lower one.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.draw import EPOCH
from simulator.item import Fields, Kind
from simulator.served import Served
from simulator.vendor import Bucket

USER = "1234567"
MOST = 10 * 1024 * 1024
"""Bytes that one request may have."""
KINDS = (
    Kind(
        "deliveries",
        lambda draw: draw.uuid(),
        lambda draw: {"event_id": None, "payload": {}, "_text": "delivery"},
        "_text",
    ),
)


class Zapier(Served):
    """The vendor."""

    name = "zapier"
    title = "Zapier"
    documented: ClassVar[Mapping[str, str]] = {
        "hook": "sliding:count=30,window=1",
        "user": "fixed:count=10000,window=300",
        "legacy": "fixed:count=1000,window=300",
    }
    extra = frozenset({"user"})
    kinds = KINDS
    counts_by_default: ClassVar[Mapping[str, int]] = {}

    def variables(self, url: str, token: str) -> dict[str, str]:
        """See `Vendor.variables`."""
        return {"ZAPIER_HOOK_URL": f"{url}/hooks/catch/{USER}/{token}/", "AIMD_ZAPIER_BASE_URL": url}

    def authorize(self, request: Request, token: str | None) -> Response | None:
        """See `Vendor.authorize`; whoever knows the address may post."""
        hook = request.url.path.rstrip("/").rpartition("/")[2]
        return None if token in (None, hook) else self.unauthorized(request)

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`: a hook that is not there."""
        return self.not_found(request)

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`."""
        return refusal(403, "This hook is disabled.")

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return refusal(404, "Hook not found.")

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`: an address without a user has a limit of its own, a lower one."""
        parts = request.url.path.strip("/").split("/")
        return (Bucket("hook"), Bucket("user")) if len(parts) > 3 else (Bucket("legacy"),)

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        answer = refusal(429, "Too many requests.")
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return refusal(status, "Something went wrong.")

    def blocked(self) -> Response:
        """See `Vendor.blocked`: nothing is known of a block for good."""
        return refusal(429, "Too many requests.")

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`: a hook that was deleted."""
        return refusal(410, "This hook is gone.")

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({})

    def counts(self) -> dict[str, Any]:
        """See `Vendor.counts`: what came, how many events that was, and how many came again."""
        events = [item.fields["event_id"] for item in self.records.records("deliveries")]
        named = [event for event in events if event is not None]
        return {
            "received": len(events),
            "events": len(set(named)),
            "repeated": len(named) - len(set(named)),
            "without_event_id": len(events) - len(named),
            "payloads": [item.fields["payload"] for item in self.records.records("deliveries")[-100:]],
        }

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        paths = ("/hooks/catch/{user}/{hook}", "/hooks/catch/{hook}")
        return [Route(path + end, self._catch, methods=["GET", "POST", "PUT"]) for path in paths for end in ("/", "")]

    async def _catch(self, request: Request) -> Response:
        raw = await request.body()
        if len(raw) > MOST:
            return refusal(413, "The payload is larger than 10 MB.")
        payload = _payload(request, raw)
        event = payload.get("event_id")
        chosen = {"event_id": event if isinstance(event, str) else None, "payload": payload}
        id = self.records.add("deliveries", {"set": chosen}, EPOCH)
        attempt = str(uuid.uuid4())
        return JSONResponse({"status": "success", "id": id, "request_id": id, "attempt": attempt})


def refusal(status: int, message: str) -> Response:
    """Return an error."""
    return JSONResponse({"status": "error", "message": message}, status)


def _payload(request: Request, raw: bytes) -> Fields:
    """Read JSON, a form or the query, as the hook does; what is none of them is kept as text."""
    query: Fields = dict(request.query_params)
    text = raw.decode("utf-8", "replace")
    if not text:
        return query
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {**query, **dict(parse_qsl(text))}
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    return {**query, **(body if isinstance(body, dict) else {"body": body})}

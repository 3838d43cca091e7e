"""Conduct an audit: what Vanta shows to a registered audit partner.

Source: Vanta's OpenAPI description with its examples. Assumed: that `changedSinceDate` compares the latest of a
record's creation, change and deletion, and that what was deleted is listed with or without it. The addresses of
evidence work for an hour and without a token; they lead to storage, which has no limit here.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.draw import epoch
from simulator.item import Fields, Item
from simulator.served import Refused
from simulator.vendor import Bucket
from simulator.vendors.vanta.api import TOKEN_PATH, VantaApi
from simulator.vendors.vanta.auditor_world import COUNTS, IN_SCOPE, KINDS
from simulator.vendors.vanta.oauth import refusal

READ, WRITE = "auditor-api.audit:read", "auditor-api.audit:write"
STORAGE = "/storage/"
EXPIRES = 3600
"""Seconds for which the address of an evidence works."""
STATUSES = {
    "ACCEPT": "Accepted",
    "FLAG": "Flagged",
    "MARK_NA": "NA",
    "MARK_APPLICABLE": "Initialized",
    "READY_FOR_AUDIT": "Ready for audit",
}


class VantaAuditor(VantaApi):
    """The vendor."""

    name = "vanta_auditor"
    title = "Vanta (auditor)"
    documented: ClassVar[Mapping[str, str]] = {
        "read": "fixed:count=250,window=60",
        "write": "fixed:count=10,window=60",
        "urls": "fixed:count=600,window=60",
    }
    scopes = frozenset({READ, WRITE, "auditor-api.auditor:read", "auditor-api.auditor:write"})
    kinds = KINDS
    counts_by_default = COUNTS

    def needed(self, request: Request) -> str:
        """See `VantaApi.needed`."""
        return READ if request.method == "GET" else WRITE

    def authorize(self, request: Request, token: str | None) -> Response | None:
        """See `Vendor.authorize`; what is signed needs no token."""
        return None if request.url.path.startswith(STORAGE) else super().authorize(request, token)

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`."""
        path = request.url.path
        if path.startswith(STORAGE):
            return ()
        if path == TOKEN_PATH:
            return (Bucket("token"),)
        if request.method != "GET":
            return (Bucket("write"),)
        return (Bucket("urls" if path.endswith("/urls") else "read"),)

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        return [
            self.token_route(),
            Route("/v1/audits", self._audits, methods=["GET"]),
            self._below("evidence", "evidence"),
            self._below("comments", "comments"),
            *(self._below(name.replace("_", "-"), f"audit_{name}") for name in IN_SCOPE),
            Route("/v1/audits/{id}/evidence/{evidence}/urls", self._urls, methods=["GET"]),
            Route("/v1/audits/{id}/evidence/{evidence}", self._judge, methods=["PATCH"]),
            Route(f"{STORAGE}{{id}}/{{filename}}", self._content, methods=["GET"]),
        ]

    async def _audits(self, request: Request) -> Response:
        items = self.records.records("audits", deleted=True)
        name = "audits"
        if active := request.query_params.get("isActiveAudit"):
            name += f" active {active}"
            wanted = active == "true"
            items = [item for item in items if (item.fields["completionDate"] is None) == wanted]
        return self._changed(request, name, items)

    def _below(self, name: str, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return self._changed(request, *self.children(request, kind, "audits"))

        return Route(f"/v1/audits/{{id}}/{name}", endpoint, methods=["GET"])

    async def _urls(self, request: Request) -> Response:
        evidence = self._evidence(request)
        name = f"urls of {evidence.id}"
        items = self.records.records("evidence_urls", evidence.id)
        return self.page(request, name, items, lambda item: self._with_url(request, item))

    async def _judge(self, request: Request) -> Response:
        evidence = self._evidence(request)
        try:
            status = STATUSES[json.loads(await request.body())["auditEvidenceUpdateType"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            known = ", ".join(STATUSES)
            raise Refused(refusal(400, "invalid_request", f"auditEvidenceUpdateType must be one of {known}")) from None
        self.records.change(evidence.id, {"status": status}, time.time())
        return JSONResponse(self.records.get("evidence", evidence.id).shown)

    async def _content(self, request: Request) -> Response:
        item, query = self.find(request, "evidence_urls"), request.query_params
        date = query.get("X-Amz-Date", "")
        if query.get("X-Amz-Signature") != _signature(item, date) or _seconds(date) + EXPIRES < time.time():
            raise Refused(Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml"))
        return Response(f"{item.fields['filename']}, version {item.revision}\n", media_type="text/plain")

    def _evidence(self, request: Request) -> Item:
        audit, evidence = self.find(request, "audits"), self.find(request, "evidence", "evidence")
        if evidence.parent != audit.id:
            raise Refused(self.not_found(request))
        return evidence

    def _changed(self, request: Request, name: str, items: Sequence[Item]) -> Response:
        if text := request.query_params.get("changedSinceDate"):
            try:
                since = epoch(text)
            except ValueError:
                raise Refused(refusal(400, "invalid_request", "changedSinceDate is not a date")) from None
            items = [item for item in items if max(item.created, item.edited) >= since]
            name += f" since {since}"
        return self.page(request, name, items)

    def _with_url(self, request: Request, item: Item) -> Fields:
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {"X-Amz-Date": date, "X-Amz-Expires": EXPIRES, "X-Amz-Signature": _signature(item, date)}
        url = request.url.replace(path=f"{STORAGE}{item.id}/{item.fields['filename']}", query=urlencode(signed))
        return {"id": item.id, "url": str(url), **item.shown}


def _signature(item: Item, date: str) -> str:
    return hashlib.sha256(f"{item.id} {date}".encode()).hexdigest()


def _seconds(date: str) -> float:
    return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()

"""Fieldguide's endpoints, links and errors.

Source: its OpenAPI description. Not published, and so assumed here: a 429 without `Retry-After` or a body that says
more; errors as `statusCode`, `message` and `error`; `status` as the name of the status filters, with several values
joined by commas; a job's `status` and its link `_links.export`; and that a file's `url` needs no token, since it is
signed. Listings of files and folders have no `_links`: they end with a page that is not full.
"""

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.checks import whole
from simulator.dataset import Dataset
from simulator.draw import iso_ms
from simulator.item import Fields, Item
from simulator.paging import numbered, whole_number
from simulator.served import Refused, Served
from simulator.vendor import Bucket
from simulator.vendors.fieldguide.exports import Job, Jobs, binder
from simulator.vendors.fieldguide.shapes import FILTERS, SCOPES, WITHOUT_LINKS, content, refusal, signature, tried
from simulator.vendors.fieldguide.world import COUNTS, KINDS

STORAGE = "/storage/"
_EXPIRES = 3600
"""Seconds that the address of a file is good for."""


class Fieldguide(Served):
    """The vendor.

    Args:
        data: The data.
        scopes: What the token may do.
        polls: How often an export is looked at before it is complete.
        delay: Seconds until it should be looked at again.
    """

    name = "fieldguide"
    title = "Fieldguide"
    retry_after = "none"
    documented: ClassVar[Mapping[str, str]] = {"api": "none"}
    kinds = KINDS
    counts_by_default = COUNTS

    def __init__(
        self, data: Dataset, scopes: frozenset[str] = frozenset(SCOPES.values()), polls: int = 2, delay: float = 0.2
    ) -> None:
        super().__init__(data)
        self._scopes = scopes
        self._jobs = Jobs(whole("polls", polls, least=0), delay, time.time)

    def authorize(self, request: Request, token: str | None) -> Response | None:
        """See `Vendor.authorize`; what is signed needs no token."""
        return None if request.url.path.startswith(STORAGE) else super().authorize(request, token)

    def unauthorized(self, request: Request) -> Response:
        """See `Vendor.unauthorized`."""
        return refusal(401, "Unauthorized")

    def forbidden(self, request: Request) -> Response:
        """See `Vendor.forbidden`; it names the scope."""
        name = request.url.path.rpartition("/")[2]
        return _missing(SCOPES.get(name, "requests:read"))

    def not_found(self, request: Request) -> Response:
        """See `Served.not_found`."""
        return refusal(404, f"Cannot find {request.url.path}")

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`."""
        return () if request.url.path.startswith(STORAGE) else (Bucket("api"),)

    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """See `Vendor.rejected`."""
        answer = refusal(429, "Too many requests")
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def failed(self, request: Request, status: int) -> Response:
        """See `Vendor.failed`."""
        return refusal(status, "Internal server error")

    def blocked(self) -> Response:
        """See `Vendor.blocked`: nothing is known of a block for good."""
        return refusal(429, "Too many requests")

    def expired(self, request: Request) -> Response:
        """See `Vendor.expired`; pages have numbers, so none expires in truth."""
        return refusal(400, "page is not valid")

    def empty(self) -> Response:
        """See `Vendor.empty`."""
        return JSONResponse({"_links": {}})

    def counts(self) -> dict[str, int]:
        """See `Vendor.counts`: looks at a job before the time that it named."""
        return {"early_polls": self._jobs.early}

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        below = {
            "engagements": ("users", "milestones", "sheets", "folders", "requests"),
            "requests": ("controls", "comments"),
        }
        return [
            Route("/v1/engagements/exports/{id}", self._export, methods=["GET"]),
            *(self._listed(kind) for kind in ("companies", "engagements")),
            *(self._one(kind) for kind in ("companies", "engagements", "requests")),
            *(self._below(of, kind, kind) for of, kinds in below.items() for kind in kinds),
            self._below("requests", "files", "request_files"),
            Route("/v1/engagements/{id}/files", self._engagement_files, methods=["GET"]),
            Route("/v1/files/{id}", self._file, methods=["GET"]),
            Route("/v1/engagements/{id}/export", self._begin, methods=["POST"]),
            Route("/v1/jobs/{id}", self._job, methods=["GET"]),
            Route(f"{STORAGE}{{id}}", self._content, methods=["GET"]),
        ]

    def _listed(self, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            self._needs(kind)
            _, items = self.filtered(kind, request.query_params, FILTERS.get(kind, {}))
            return self._page(request, kind, items)

        return Route(f"/v1/{kind}", endpoint, methods=["GET"])

    def _one(self, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            self._needs(kind)
            return JSONResponse(self._shown(request, self.find(request, kind)))

        return Route(f"/v1/{kind}/{{id}}", endpoint, methods=["GET"])

    def _below(self, of: str, name: str, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            self._needs(kind)
            _, items = self.children(request, kind, of)
            for parameter, test in FILTERS.get(kind, {}).items():
                if value := request.query_params.get(parameter):
                    items = [item for item in items if tried(test, item, value)]
            return self._page(request, kind, items)

        return Route(f"/v1/{of}/{{id}}/{name}", endpoint, methods=["GET"])

    async def _engagement_files(self, request: Request) -> Response:
        self._needs("files")
        requests = self.children(request, "requests", "engagements")[1]
        files = [file for each in requests for file in self.records.records("request_files", each.id)]
        return self._page(request, "files", files)

    async def _file(self, request: Request) -> Response:
        self._needs("files")
        return JSONResponse(self._shown(request, self.find(request, "request_files")))

    async def _content(self, request: Request) -> Response:
        item = self.find(request, "request_files")
        expires = request.query_params.get("expires", "")
        if request.query_params.get("signature") != signature(item, expires) or float(expires) < time.time():
            raise Refused(Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml"))
        return Response(content(item), media_type=item.fields["mime_type"])

    async def _begin(self, request: Request) -> Response:
        self._needs("export")
        job = self._jobs.begin(self.find(request, "engagements").id)
        return JSONResponse(self._job_shown(request, job), 202, headers=job.headers)

    async def _job(self, request: Request) -> Response:
        self._needs("export")
        try:
            job = self._jobs.look(request.path_params["id"])
        except KeyError:
            raise Refused(self.not_found(request)) from None
        if job.complete:
            return JSONResponse(self._job_shown(request, job))
        return JSONResponse(self._job_shown(request, job), 202, headers=job.headers)

    async def _export(self, request: Request) -> Response:
        self._needs("export")
        try:
            job = self._jobs.get(request.path_params["id"])
            if not job.complete:
                raise KeyError(job.id)
            engagement = self.records.get("engagements", job.engagement)
        except KeyError:
            raise Refused(self.not_found(request)) from None
        requests = self.records.records("requests", engagement.id)
        files: dict[str, object] = {"engagement.json": engagement.shown}
        files |= {f"requests/{each.fields['identifier']}.json": each.shown for each in requests}
        return Response(binder(files), media_type="application/zip")

    def _needs(self, kind: str) -> None:
        if SCOPES[kind] not in self._scopes:
            raise Refused(_missing(SCOPES[kind]))

    def _page(self, request: Request, kind: str, items: Sequence[Item]) -> Response:
        query = request.query_params
        try:
            number = whole_number(query.get("page"), 1, 1, 10**8)
            size = whole_number(query.get("per_page"), 50, 1, 200)
        except ValueError as error:
            raise Refused(refusal(400, f"page and per_page: {error}")) from None
        if (order := query.get("sort_order", "asc")) not in ("asc", "desc"):
            raise Refused(refusal(400, "sort_order must be asc or desc"))
        page = numbered(items if order == "asc" else items[::-1], size, number)
        data = [self._shown(request, item) for item in page.items]
        if kind in WITHOUT_LINKS:
            return JSONResponse({"data": data})
        last = max(1, -(-len(items) // size))
        places = {"self": number, "first": 1, "last": last}
        if not page.first:
            places["previous"] = number - 1
        if page.more:
            places["next"] = number + 1
        kept = {name: value for name, value in query.items() if name not in ("page", "per_page")}
        base = request.url.replace(query="")
        links = {
            rel: {"href": f"{base}?{urlencode({**kept, 'page': at, 'per_page': size})}"} for rel, at in places.items()
        }
        return JSONResponse({"data": data, "_links": links})

    def _shown(self, request: Request, item: Item) -> Fields:
        if item.kind.name == "request_files":
            expires = int(time.time()) + _EXPIRES
            signed = urlencode({"expires": expires, "signature": signature(item, str(expires))})
            url = request.url.replace(path=f"{STORAGE}{item.id}", query=signed)
            return {**item.shown, "size": len(content(item)), "url": str(url), "url_expiration": iso_ms(expires)}
        if item.kind.name in ("engagements", "requests"):
            href = f"https://app.fieldguide.io/{item.kind.name}/{item.id}"
            title = item.fields.get("title") or item.fields["name"]
            return {**item.shown, "_links": {"fieldguide": {"href": href, "title": title, "type": "text/html"}}}
        return item.shown

    def _job_shown(self, request: Request, job: Job) -> Fields:
        shown: Fields = {"uuid": job.id, "status": "Complete" if job.complete else "In Progress"}
        if job.complete:
            href = request.url.replace(path=f"/v1/engagements/exports/{job.id}", query="")
            shown["_links"] = {"export": {"href": str(href)}}
        return shown


def _missing(scope: str) -> Response:
    return refusal(403, f"Missing required scope: {scope}")

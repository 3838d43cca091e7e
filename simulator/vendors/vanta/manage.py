"""Manage Vanta: what a customer reads of its own tenant.

Paths, envelope and filters as Vanta's own server for language models uses them; unknown parameters are ignored.
Not published, and so assumed here: the bodies of errors (an `error` with a `message`), a 429 with `Retry-After` in
whole seconds, and a 403 for a scope that a token does not have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.draw import epoch
from simulator.item import Fields, Item
from simulator.served import Refused
from simulator.vendor import Bucket
from simulator.vendors.vanta.api import TOKEN_PATH, VantaApi
from simulator.vendors.vanta.manage_world import COUNTS, KINDS
from simulator.vendors.vanta.oauth import refusal

READ = "vanta-api.all:read"


def _equals(field: str) -> Callable[[Item, str], bool]:
    return lambda item, value: item.fields[field] in value.split(",")


def _holds(field: str) -> Callable[[Item, str], bool]:
    return lambda item, value: bool(set(item.fields[field]) & set(value.split(",")))


def _true(field: str) -> Callable[[Item, str], bool]:
    return lambda item, value: bool(item.fields[field]) == (value == "true")


def _deadline(item: Item, value: str, sign: int) -> bool:
    return (epoch(str(item.fields["remediateByDate"])) - epoch(value)) * sign > 0


_AFTER, _BEFORE = (lambda item, value: _deadline(item, value, 1)), (lambda item, value: _deadline(item, value, -1))

FILTERS: dict[str, dict[str, Callable[[Item, str], bool]]] = {
    "controls": {"frameworkMatchesAny": _holds("_frameworks")},
    "tests": {
        "statusFilter": _equals("status"),
        "frameworkFilter": _holds("_frameworks"),
        "integrationFilter": _holds("integrations"),
        "categoryFilter": _equals("category"),
        "ownerFilter": lambda item, value: item.fields["owner"]["id"] in value.split(","),
    },
    "documents": {"statusMatchesAny": _equals("uploadStatus"), "frameworkMatchesAny": _holds("_frameworks")},
    "vulnerabilities": {
        "severity": _equals("severity"),
        "isFixAvailable": _true("isFixable"),
        "isDeactivated": _true("deactivateMetadata"),
        "integrationId": _equals("integrationId"),
        "vulnerableAssetId": _equals("targetId"),
        "externalVulnerabilityId": _equals("name"),
        "slaDeadlineAfterDate": _AFTER,
        "slaDeadlineAfter": _AFTER,
        "slaDeadlineBeforeDate": _BEFORE,
        "slaDeadlineBefore": _BEFORE,
    },
}
"""Filters by kind, by the name of the parameter; several values are joined with commas."""

LISTED = (
    "frameworks", "controls", "tests", "documents", "people", "policies", "vendors", "vulnerabilities",
    "vulnerability_remediations", "vulnerable_assets", "monitored_computers", "integrations", "groups",
    "risk_scenarios",
)  # fmt: skip


class Vanta(VantaApi):
    """The vendor."""

    name = "vanta"
    title = "Vanta"
    documented: ClassVar[Mapping[str, str]] = {"manage": "fixed:count=50,window=60"}
    scopes = frozenset({READ, "vanta-api.all:write", "vanta-api.documents:upload"})
    kinds = KINDS
    counts_by_default = COUNTS

    def needed(self, request: Request) -> str:
        """See `VantaApi.needed`."""
        return READ

    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """See `Vendor.buckets`."""
        return (Bucket("token" if request.url.path == TOKEN_PATH else "manage"),)

    def routes(self) -> Sequence[Route]:
        """See `Served.routes`."""
        return [
            self.token_route(),
            *(self._listed(kind) for kind in LISTED),
            *(self._one(kind) for kind in LISTED),
            self._below("frameworks", "controls", self._framework_controls),
            self._below("controls", "tests", lambda request: self.linked(request, "tests", "_tests", "controls")),
            self._below(
                "controls", "documents", lambda request: self.linked(request, "documents", "_documents", "controls")
            ),
            self._below("tests", "entities", self._entities),
            self._below(
                "documents", "uploads", lambda request: self.children(request, "document_uploads", "documents")
            ),
            self._below("documents", "controls", self._document_controls),
            Route("/v1/document-uploads/{id}/download", self._download, methods=["GET"]),
        ]

    def _listed(self, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                name, items = self.filtered(kind, request.query_params, FILTERS.get(kind, {}))
            except ValueError:
                raise Refused(refusal(400, "invalid_request", "A date is not valid")) from None
            return self.page(request, name, items)

        return Route(f"/v1/{kind.replace('_', '-')}", endpoint, methods=["GET"])

    def _one(self, kind: str) -> Route:
        async def endpoint(request: Request) -> Response:
            item = self.find(request, kind)
            return JSONResponse({**item.shown, **(self._details(item) if kind == "controls" else {})})

        return Route(f"/v1/{kind.replace('_', '-')}/{{id}}", endpoint, methods=["GET"])

    def _below(self, of: str, kind: str, select: Callable[[Request], tuple[str, Sequence[Item]]]) -> Route:
        async def endpoint(request: Request) -> Response:
            return self.page(request, *select(request))

        return Route(f"/v1/{of}/{{id}}/{kind}", endpoint, methods=["GET"])

    def _entities(self, request: Request) -> tuple[str, Sequence[Item]]:
        name, items = self.children(request, "test_entities", "tests")
        if not (status := request.query_params.get("entityStatus")):
            return name, items
        return f"{name} {status}", [item for item in items if item.fields["entityStatus"] == status]

    def _framework_controls(self, request: Request) -> tuple[str, Sequence[Item]]:
        return self._controls_with("_frameworks", self.find(request, "frameworks").id)

    def _document_controls(self, request: Request) -> tuple[str, Sequence[Item]]:
        return self._controls_with("_documents", self.find(request, "documents").id)

    def _controls_with(self, field: str, id: str) -> tuple[str, Sequence[Item]]:
        name = f"controls with {id} in {field}"
        return name, [item for item in self.records.records("controls") if id in item.fields[field]]

    def _details(self, control: Item) -> Fields:
        tests = [item for item in self.records.records("tests") if item.id in control.fields["_tests"]]
        documents = [item for item in self.records.records("documents") if item.id in control.fields["_documents"]]
        passing = sum(test.fields["status"] == "OK" for test in tests)
        return {
            "status": "OK" if passing == len(tests) else "NEEDS_ATTENTION",
            "numDocumentsPassing": sum(document.fields["uploadStatus"] == "OK" for document in documents),
            "numDocumentsTotal": len(documents),
            "numTestsPassing": passing,
            "numTestsTotal": len(tests),
            "note": None,
        }

    async def _download(self, request: Request) -> Response:
        upload = self.find(request, "document_uploads")
        content = f"%PDF-1.4 {upload.id} {upload.fields['title']}\n".encode()
        disposition = {"Content-Disposition": f'attachment; filename="{upload.fields["fileName"]}"'}
        return Response(content, media_type=upload.fields["mimeType"], headers=disposition)

"""Fieldguide: engagements, what auditors asked for in them, and what was handed in.

Source: Fieldguide's OpenAPI. There is no filter by time, and requests and engagements say no time of change, so
everything is listed whole and compared. Pages are HAL links; some listings have none and end with a short page.
"""

from __future__ import annotations

from typing import Any

from flows.links import HalPaginator
from flows.paginators import Whole
from flows.signatures import without_signatures
from flows.stream import Job, Parent, Record, Source, Stream

_PAGES = HalPaginator(size=200)


def _stable(record: Record) -> Record:
    """The moment at which a link expires is another one in every answer."""
    return without_signatures({key: value for key, value in record.items() if key != "url_expiration"})


def _listed(name: str, path: str, *controls: str, **more: Any) -> Stream:
    declared = {"paginator": _PAGES, "records": "data", "primary_key": "uuid", "stable": _stable, **more}
    return Stream(name=name, method="GET", path=path, controls=controls, **declared)


_OF_ENGAGEMENT = {"parent": Parent("engagements")}
_OF_REQUEST = {"parent": Parent("requests")}

FIELDGUIDE = Source(
    name="fieldguide",
    title="Fieldguide",
    streams=(
        _listed("companies", "/v1/companies", "SOC 2 CC2.3"),
        _listed("engagements", "/v1/engagements", "SOC 2 CC4.1", "ISO 27001 A.5.35"),
        _listed("requests", "/v1/engagements/{engagements}/requests", "SOC 2 CC4.1", **_OF_ENGAGEMENT),
        _listed("users", "/v1/engagements/{engagements}/users", "SOC 2 CC6.2", **_OF_ENGAGEMENT),
        _listed("milestones", "/v1/engagements/{engagements}/milestones", "SOC 2 CC4.1", **_OF_ENGAGEMENT),
        _listed("request_files", "/v1/requests/{requests}/files", "SOC 2 CC4.1", **_OF_REQUEST, content="url"),
        _listed("request_controls", "/v1/requests/{requests}/controls", "SOC 2 CC5.1", **_OF_REQUEST),
        _listed("request_comments", "/v1/requests/{requests}/comments", "SOC 2 CC4.2", **_OF_REQUEST),
        Stream(
            name="binders",
            method="POST",
            path="/v1/engagements/{engagements}/export",
            paginator=Whole(),
            primary_key="uuid",
            safe=False,  # it begins a job
            job=Job("_links.export.href", "/v1/engagements/exports/{id}"),
            parent=Parent("engagements"),
            on_request=True,  # a whole binder for each engagement, each time
            controls=("SOC 2 CC4.1", "ISO 27001 A.5.35"),
        ),
    ),
)

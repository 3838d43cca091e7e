"""What an audit firm has at Fieldguide. Field names from its OpenAPI description; values are made up.

Requests and engagements do not say when they were changed; files, comments and milestones do.
"""

from collections.abc import Callable
from typing import Any

from simulator.draw import Draw, day, iso_ms
from simulator.item import Fields, Kind


def _company(draw: Draw) -> Fields:
    name = f"{draw.one('Acme', 'Globex', 'Initech', 'Umbrella', 'Hooli')} {draw.number}"
    return {"name": name, "website": f"https://{name.lower().replace(' ', '-')}.example", "created_at": iso_ms(draw.at)}


def _user(draw: Draw) -> Fields:
    first, _, last = draw.person().partition(" ")
    return {
        "first_name": first,
        "last_name": last,
        "email": f"{first}.{last}.{draw.number}@example.com".lower(),
        "role": draw.one("Client", "Auditor", "Lead"),
        "created_at": iso_ms(draw.at),
    }


def _engagement(draw: Draw) -> Fields:
    return {
        "name": f"SOC 2 - Type {1 + draw.below(2)}",
        "status": draw.one("Pending", "In Progress", "Complete", "Archived"),
        "is_template": draw.below(6) == 0,
        "company_uuid": draw.ref("companies"),
        "start_date": day(draw.at),
        "end_date": day(draw.later(300)),
        "created_at": iso_ms(draw.at),
        "report_issue_date": None,
        "engagement_lead_user_uuid": None,
        "client_owner_user_uuid": None,
        "identifier": f"E{draw.number:04}-A",
    }


def _request(draw: Draw) -> Fields:
    status = draw.one("Open", "Update Requested", "Complete", "Ready For Review", "Draft")
    return {
        "title": f"{draw.subject()} during the period",
        "description": "Please provide the evidence.",
        "status": status,
        "status_label": status,
        "identifier": f"REQ-{1000 + draw.number}",
        "client_company_uuid": draw.ref("companies"),
        "created_at": iso_ms(draw.at),
        "due_date": day(draw.later(200)),
        "client_owner_user_uuids": [],
        "tags": [draw.one("people", "access", "change")],
        "engagement_uuids": [draw.parent],
    }


def _file(draw: Draw) -> Fields:
    return {
        "name": f"{draw.subject()} {draw.number}.txt",
        "size": 0,  # as long as its content, which the vendor knows
        "mime_type": "text/plain",
        "created_at": iso_ms(draw.at),
        "updated_at": iso_ms(draw.at),
    }


def _control(draw: Draw) -> Fields:
    return {
        "identifier": f"CC{1 + draw.below(9)}.{1 + draw.number % 9}",
        "title": f"{draw.subject()} established",
        "description": "The company does what the title says.",
        "created_at": iso_ms(draw.at),
    }


def _comment(draw: Draw) -> Fields:
    return {
        "body": f"About {draw.subject().lower()}: please add the period.",
        "user_uuid": draw.ref("users"),
        "created_at": iso_ms(draw.at),
        "updated_at": iso_ms(draw.at),
    }


def _milestone(draw: Draw) -> Fields:
    return {
        "name": draw.one("Planning", "Fieldwork", "Reporting"),
        "due_date": day(draw.later(200)),
        "status": draw.one("Open", "Complete"),
        "created_at": iso_ms(draw.at),
        "updated_at": iso_ms(draw.at),
    }


def _sheet(draw: Draw) -> Fields:
    return {"name": f"{draw.subject()} sheet", "created_at": iso_ms(draw.at)}


def _folder(draw: Draw) -> Fields:
    return {"name": draw.subject(), "created_at": iso_ms(draw.at)}


def _kind(name: str, make: Callable[[Draw], Fields], text: str, parent: str = "", modified: str = "") -> Kind:
    more: dict[str, Any] = {"clock": iso_ms, "key": "uuid", "parent": parent, "modified": modified}
    return Kind(name, lambda draw: draw.uuid(), make, text, **more)


KINDS = (
    _kind("companies", _company, "name"),
    _kind("engagements", _engagement, "name"),
    _kind("users", _user, "email", "engagements"),
    _kind("milestones", _milestone, "name", "engagements", "updated_at"),
    _kind("sheets", _sheet, "name", "engagements"),
    _kind("folders", _folder, "name", "engagements"),
    _kind("requests", _request, "description", "engagements"),
    _kind("request_files", _file, "name", "requests", "updated_at"),
    _kind("controls", _control, "description", "requests"),
    _kind("comments", _comment, "body", "requests", "updated_at"),
)
COUNTS = {
    "companies": 60, "engagements": 4, "users": 5, "milestones": 3, "sheets": 1, "folders": 2, "requests": 12,
    "request_files": 2, "controls": 1, "comments": 2,
}  # fmt: skip

"""What Fieldguide can be asked for, with which scope, and how it refuses."""

import hashlib
from collections.abc import Callable

from starlette.responses import JSONResponse, Response

from simulator.draw import epoch
from simulator.item import Item
from simulator.served import Refused

_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}

Test = Callable[[Item, str], bool]


def _status(item: Item, value: str) -> bool:
    return item.fields["status"] in value.split(",")


FILTERS: dict[str, dict[str, Test]] = {
    "engagements": {
        "status": _status,
        "is_template": lambda item, value: item.fields["is_template"] == (value == "true"),
    },
    "requests": {
        "status": _status,
        "due_date_before": lambda item, value: epoch(str(item.fields["due_date"])) < epoch(value),
    },
}
SCOPES = {
    "companies": "companies:read", "engagements": "engagements:read", "users": "engagements:read",
    "milestones": "engagements:read", "sheets": "engagements:read", "folders": "engagements.files:read",
    "requests": "requests:read", "request_files": "requests.files:read", "controls": "controls:read",
    "comments": "comments:read", "files": "files:read", "export": "engagements:read",
}  # fmt: skip
WITHOUT_LINKS = frozenset({"request_files", "folders", "files"})
"""Listings of files, which have no `_links`."""


def refusal(status: int, message: str) -> Response:
    """Return an error."""
    return JSONResponse(
        {"statusCode": status, "message": message, "error": _REASONS.get(status, "Internal Server Error")}, status
    )


def content(item: Item) -> bytes:
    """Return the content of a file; another one after an edit."""
    return f"{item.fields['name']}, version {item.revision}\n".encode()


def signature(item: Item, expires: str) -> str:
    """Return what makes the address of a file valid until `expires` (epoch seconds)."""
    return hashlib.sha256(f"{item.id} {expires}".encode()).hexdigest()


def tried(test: Test, item: Item, value: str) -> bool:
    """Return whether a record passes a filter, or refuse with 400 if the value is none."""
    try:
        return test(item, value)
    except ValueError:
        raise Refused(refusal(400, f"{value!r} is not a date")) from None

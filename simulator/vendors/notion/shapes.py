"""Notion's JSON shapes: a record as an object, an error as an answer."""

from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse

from simulator.vendors.notion.record import Record


class NotionError(Exception):
    """A request that Notion answers with an error.

    Attributes:
        status: HTTP status.
        code: Notion's code, for example `validation_error`.
        message: What a person reads.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> NotionError:
    """Return the error for a request that is understood but not valid."""
    return NotionError(400, "validation_error", message)


def not_found(what: str) -> NotionError:
    """Return the error for what does not exist or is not shared: Notion does not tell which."""
    shared = "Make sure the relevant pages and databases are shared with your integration."
    return NotionError(404, "object_not_found", f"Could not find {what}. {shared}")


def error_response(status: int, code: str, message: str, additional_data: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer in Notion's error shape."""
    body: dict[str, Any] = {"object": "error", "status": status, "code": code, "message": message}
    if additional_data is not None:
        body["additional_data"] = additional_data
    return JSONResponse(body, status)


def rate_limited(reason: str, retry_after: str | None = None) -> JSONResponse:
    """Return a 429.

    Args:
        reason: Notion's `rate_limit_reason`.
        retry_after: What the header says; the body repeats it. None leaves out both.
    """
    message = "You have been rate limited. Please try again later."
    if retry_after is None:
        return error_response(429, "rate_limited", message, {"rate_limit_reason": reason})
    data = {"rate_limit_reason": reason, "retry_after": retry_after}
    response = error_response(429, "rate_limited", message, data)
    response.headers["Retry-After"] = retry_after
    return response


def timestamp(at: int) -> str:
    """Write epoch seconds as Notion does: 2026-03-01T19:05:00.000Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def as_object(record: Record) -> dict[str, Any]:
    """Return the Notion object of a record: `user`, `page` (rows too) or `data_source`."""
    if record.kind == "user":
        return _user(record)
    own = _data_source(record) if record.kind == "data_source" else _page(record)
    return {
        "object": "data_source" if record.kind == "data_source" else "page",
        "id": record.id,
        "created_time": timestamp(record.created),
        "last_edited_time": timestamp(record.edited),
        "created_by": {"object": "user", "id": record.author},
        "last_edited_by": {"object": "user", "id": record.author},
        "in_trash": record.in_trash,
        "url": f"https://www.notion.so/{record.id.replace('-', '')}",
        **own,
    }


def as_block(record: Record, holder: str, has_children: bool) -> dict[str, Any]:
    """Return the Notion object of a block.

    Args:
        record: The block.
        holder: The kind of what it is in.
        has_children: Whether others are in it.
    """
    at = "block_id" if holder == "block" else "page_id"
    author = {"object": "user", "id": record.author}
    return {
        "object": "block",
        "id": record.id,
        "parent": {"type": at, at: record.parent},
        "created_time": timestamp(record.created),
        "last_edited_time": timestamp(record.edited),
        "created_by": author,
        "last_edited_by": author,
        "has_children": has_children,
        "in_trash": record.in_trash,
        "type": "paragraph",
        "paragraph": {"rich_text": _text(record.title), "color": "default"},
    }


def bot(id: str) -> dict[str, Any]:
    """Return the user object of the integration itself."""
    owner = {"type": "workspace", "workspace": True}
    return {
        "object": "user",
        "id": id,
        "type": "bot",
        "name": "Simulated integration",
        "avatar_url": None,
        "bot": {"owner": owner, "workspace_name": "Simulated workspace"},
    }


def _user(record: Record) -> dict[str, Any]:
    return {
        "object": "user",
        "id": record.id,
        "type": "person",
        "name": record.title,
        "avatar_url": None,
        "person": {"email": f"user-{record.id[:8]}@example.com"},
    }


def _page(record: Record) -> dict[str, Any]:
    title = {"id": "title", "type": "title", "title": _text(record.title)}
    if record.kind == "row":
        parent: dict[str, Any] = {"type": "data_source_id", "data_source_id": record.parent}
        return {"parent": parent, "properties": {"Name": title}}
    return {"parent": {"type": "workspace", "workspace": True}, "properties": {"title": title}}


def _data_source(record: Record) -> dict[str, Any]:
    return {
        "title": _text(record.title),
        "parent": {"type": "database_id", "database_id": record.parent},
        "properties": {"Name": {"id": "title", "name": "Name", "type": "title", "title": {}}},
    }


def _text(content: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": {"content": content, "link": None}, "plain_text": content, "href": None}]

"""What an organization at OpenAI has. Field names from its OpenAPI description; values are made up."""

from collections.abc import Callable
from typing import Any

from simulator.draw import DAY, EPOCH, Draw
from simulator.item import Fields, Kind

DAYS = 120
_EVENTS = ("api_key.created", "api_key.deleted", "project.archived", "user.added", "login.succeeded", "invite.sent")


def _user(draw: Draw) -> Fields:
    name = draw.person()
    return {
        "object": "organization.user",
        "name": name,
        "email": f"{name.replace(' ', '.').lower()}.{draw.number}@example.com",
        "role": "owner" if draw.below(8) == 0 else "reader",
        "added_at": int(draw.at),
    }


def _project(draw: Draw) -> Fields:
    archived = draw.below(4) == 0
    return {
        "object": "organization.project",
        "name": f"{draw.subject()} {draw.number}",
        "created_at": int(draw.at),
        "archived_at": int(draw.later(200)) if archived else None,
        "status": "archived" if archived else "active",
    }


def _owner(draw: Draw) -> Fields:
    user = draw.ref("users")
    return {"type": "user", "object": "organization.user", "id": user, "name": draw.person(), "role": "owner"}


def _admin_key(draw: Draw) -> Fields:
    return {
        "object": "organization.admin_api_key",
        "name": f"{draw.subject()} key",
        "redacted_value": f"sk-admin...{draw.base62(3)}",
        "created_at": int(draw.at),
        "last_used_at": int(draw.later(100)),
        "owner": _owner(draw),
    }


def _invite(draw: Draw) -> Fields:
    return {
        "object": "organization.invite",
        "email": f"invited.{draw.number}@example.com",
        "role": "reader",
        "status": draw.one("accepted", "expired", "pending"),
        "invited_at": int(draw.at),
        "expires_at": int(draw.later(7)),
        "accepted_at": None,
    }


def _project_user(draw: Draw) -> Fields:
    return {**_user(draw), "object": "organization.project.user", "role": draw.one("owner", "member")}


def _project_key(draw: Draw) -> Fields:
    return {
        "object": "organization.project.api_key",
        "name": f"{draw.subject()} key",
        "redacted_value": f"sk-proj...{draw.base62(3)}",
        "created_at": int(draw.at),
        "last_used_at": int(draw.later(100)),
        "owner": {"type": "user", "user": _owner(draw)},
    }


def _account(draw: Draw) -> Fields:
    return {
        "object": "organization.project.service_account",
        "name": f"{draw.subject()} service",
        "role": "member",
        "created_at": int(draw.at),
    }


def _event(draw: Draw) -> Fields:
    kind = draw.one(*_EVENTS)
    name = draw.person()
    who = {"id": draw.ref("users"), "email": f"{name.replace(' ', '.').lower()}@example.com"}
    session = {"user": who, "ip_address": f"198.51.100.{1 + draw.below(254)}", "user_agent": "Mozilla/5.0"}
    project = draw.ref("projects")
    return {
        "type": kind,
        "effective_at": int(draw.at),
        "project": {"id": project, "name": "A project"},
        "actor": {"type": "session", "session": session},
        kind: {"id": project},
    }


def _costs(draw: Draw) -> Fields:
    begin = EPOCH + (draw.number - DAYS) * DAY  # one a day, up to the end of the generated time
    result = {
        "object": "organization.costs.result",
        "amount": {"value": draw.below(10_000) / 100, "currency": "usd"},
        "line_item": None,
        "project_id": draw.ref("projects"),
    }
    return {"object": "bucket", "start_time": begin, "end_time": begin + DAY, "results": [result]}


def _prefixed(prefix: str) -> Callable[[Draw], str]:
    return lambda draw: prefix + draw.base62(20)


def _kind(name: str, prefix: str, make: Callable[[Draw], Fields], text: str = "name", **more: Any) -> Kind:
    return Kind(name, **{"id": _prefixed(prefix), "make": make, "text": text, **more})


KINDS = (
    _kind("users", "user-", _user),
    _kind("projects", "proj_", _project),
    _kind("admin_api_keys", "key_", _admin_key),
    _kind("invites", "invite-", _invite, "email"),
    _kind("project_users", "user-", _project_user, parent="projects"),
    _kind("project_api_keys", "key_", _project_key, parent="projects"),
    _kind("project_service_accounts", "svc_acct_", _account, parent="projects"),
    _kind("audit_logs", "audit_log-", _event, "type"),
    _kind("costs", "costs-", _costs, "object", key=""),
)
COUNTS = {
    "users": 130, "projects": 6, "admin_api_keys": 5, "invites": 8, "project_users": 3, "project_api_keys": 2,
    "project_service_accounts": 1, "audit_logs": 250, "costs": DAYS,
}  # fmt: skip

"""GitHub: who is in an organization, what its repositories are guarded by, and what happened.

Source: docs.github.com/rest. Pages are found by the Link header alone. A listing of one page, if that is not full, is
told by its ETag to be unchanged, and such an answer (304) costs nothing of the hourly limit. The filters for accounts
without two factors are for owners; anyone else is refused them, which is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from flows.links import LinkPaginator
from flows.stream import Parameter, Parent, Source, Stream

_PAGES = LinkPaginator("per_page", 100)
_ORG = Parameter("org", lambda value: value.strip().lower(), "Login of an organization")
_EACH = "/repos/{owner.login}/{name}"


def _of_org(name: str, path: str, *controls: str, **more: Any) -> Stream:
    declared = {"paginator": _PAGES, "records": "", "parameters": (_ORG,), "etag": True, **more}
    return Stream(name=name, method="GET", path=f"/orgs/{{org}}{path}", controls=controls, **declared)


def _not_protected(response: httpx.Response) -> bool:
    return response.status_code == 404 and "Branch not protected" in response.text


def _created_since(moment: str) -> Mapping[str, Any]:
    """The search takes days, the log has milliseconds."""
    day = datetime.fromtimestamp(int(moment) / 1000, UTC).date()
    return {"phrase": f"created:>={day}"}


GITHUB = Source(
    name="github",
    title="GitHub",
    streams=(
        _of_org("members", "/members", "SOC 2 CC6.2", "ISO 27001 A.5.16"),
        _of_org("members_without_2fa", "/members", "SOC 2 CC6.1", "ISO 27001 A.8.5", query={"filter": "2fa_disabled"}),
        _of_org(
            "members_with_insecure_2fa", "/members", "SOC 2 CC6.1", "ISO 27001 A.8.5", query={"filter": "2fa_insecure"}
        ),
        _of_org("outside_collaborators", "/outside_collaborators", "SOC 2 CC6.3", "ISO 27001 A.5.19"),
        _of_org(
            "outside_collaborators_without_2fa",
            "/outside_collaborators",
            "SOC 2 CC6.1",
            "ISO 27001 A.8.5",
            query={"filter": "2fa_disabled"},
        ),
        _of_org("repositories", "/repos", "SOC 2 CC8.1", "ISO 27001 A.8.4"),
        # A fine-grained token needs administration (write) for these; the listing leaves out the rules themselves.
        _of_org("rulesets", "/rulesets", "SOC 2 CC8.1", "ISO 27001 A.8.32"),
        Stream(
            name="branch_protection",
            method="GET",
            path=_EACH + "/branches/{default_branch}/protection",
            paginator=_PAGES,
            records="",
            one=True,
            primary_key="url",
            parent=Parent("repositories"),
            etag=True,
            empty=_not_protected,
            controls=("SOC 2 CC8.1", "ISO 27001 A.8.32"),
        ),
        Stream(
            name="branch_rules",
            method="GET",
            path=_EACH + "/rules/branches/{default_branch}",
            paginator=_PAGES,
            records="",
            primary_key=("ruleset_id", "type"),
            parent=Parent("repositories"),
            etag=True,
            controls=("SOC 2 CC8.1", "ISO 27001 A.8.32"),
        ),
        _of_org(
            "audit_log",
            "/audit-log",
            "SOC 2 CC7.2",
            "ISO 27001 A.8.15",
            primary_key="_document_id",
            query={"include": "all", "order": "asc"},
            watermark="@timestamp",
            clock="milliseconds",
            order="oldest first",
            since=_created_since,
            overlap=86_400.0,
            exhaustive=False,  # it forgets after some months
            etag=False,
        ),
        _of_org(
            "dependabot_alerts",
            "/dependabot/alerts",
            "SOC 2 CC7.1",
            "ISO 27001 A.8.8",
            primary_key="url",
            query={"sort": "updated", "direction": "desc"},
            watermark="updated_at",
            order="newest first",
            exhaustive=False,  # a later one stops at what is known
            etag=False,
        ),
    ),
)

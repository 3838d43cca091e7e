"""Conduct an audit: what Vanta shows to a registered audit partner.

Source: Vanta's OpenAPI of "Conduct an audit". Audits, evidence and comments can be asked for by `changedSinceDate`, and
what was deleted comes with a `deletionDate`; so a later listing brings what is new and what is gone. An evidence's
addresses are listed again when the evidence or its status changed, and what they lead to is downloaded at once, since
they work for an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.stream import Parent, Record, Source, Stream
from flows.vendors.vanta import cursor_expired, listed

_DAY = 86_400.0


def _since(moment: str) -> Mapping[str, Any]:
    return {"changedSinceDate": moment}


def _changed(name: str, watermark: str, *controls: str, **more: Any) -> Stream:
    # Which of a record's dates Vanta compares is not documented: a day's overlap, and no order is relied on.
    return listed(name, *controls, watermark=watermark, since=_since, overlap=_DAY, exhaustive=False, **more)


def _in_scope(name: str, *controls: str) -> Stream:
    """What of the customer's lies in an audit's scope."""
    path = f"/v1/audits/{{audits}}/{name.replace('_', '-')}"
    return listed(f"audit_{name}", *controls, path=path, parent=Parent("audits"))


def _evidence_moved(evidence: Record) -> str | None:
    return f"{evidence.get('statusUpdatedDate')} {evidence.get('status')}"


VANTA_AUDITOR = Source(
    name="vanta_auditor",
    title="Vanta (auditor)",
    streams=(
        _changed("audits", "modificationDate", "SOC 2 CC4.1", "ISO 27001 A.5.35"),
        _changed(
            "evidence", "creationDate", "SOC 2 CC4.1", path="/v1/audits/{audits}/evidence", parent=Parent("audits")
        ),
        listed(
            "evidence_urls",
            "SOC 2 CC4.1",
            path="/v1/audits/{audits}/evidence/{evidence}/urls",
            parent=Parent("evidence", changed=_evidence_moved),
            content="url",
        ),
        _changed(
            "comments", "creationDate", "SOC 2 CC4.2", path="/v1/audits/{audits}/comments", parent=Parent("audits")
        ),
        _in_scope("controls", "SOC 2 CC5.1"),
        _in_scope("people", "SOC 2 CC1.4", "ISO 27001 A.6.1"),
        _in_scope("vendors", "SOC 2 CC9.2", "ISO 27001 A.5.19"),
        _in_scope("monitored_computers", "SOC 2 CC6.8", "ISO 27001 A.8.1"),
        _in_scope("vulnerabilities", "SOC 2 CC7.1", "ISO 27001 A.8.8"),
        _in_scope("vulnerability_remediations", "SOC 2 CC7.4", "ISO 27001 A.8.8"),
        _in_scope("vulnerable_assets", "SOC 2 CC7.1", "ISO 27001 A.5.9"),
    ),
    cursor_expired=cursor_expired,
)

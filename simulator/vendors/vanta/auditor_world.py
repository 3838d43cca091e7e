"""What an audit partner sees in Vanta: audits, their evidence and where it lies, comments, and what is in scope.

Field names are those of Vanta's own examples; values are made up. What is deleted stays listed, with a `deletionDate`.
"""

from collections.abc import Callable
from typing import Any

from simulator.draw import Draw, iso
from simulator.item import Fields, Kind
from simulator.vendors.vanta import manage_assets as assets
from simulator.vendors.vanta.manage_world import person


def _audit(draw: Draw) -> Fields:
    name = draw.one("Acme", "Globex", "Initech")
    return {
        "customerOrganizationName": f"{name.lower()}.example",
        "customerDisplayName": f"{name} Company",
        "auditStartDate": iso(draw.at),
        "auditEndDate": iso(draw.later(180)),
        "earlyAccessStartsAt": iso(draw.at),
        "framework": draw.one("SOC 2 Type I", "SOC 2 Type II", "ISO 27001"),
        "allowAuditorEmails": ["sam@auditor.example"],
        "allowAllAuditors": True,
        "creationDate": iso(draw.at),
        "modificationDate": iso(draw.at),
        "deletionDate": None,
        "completionDate": iso(draw.later(200)) if draw.below(3) == 0 else None,
        "auditFocus": "EXTERNAL",
    }


def _evidence(draw: Draw) -> Fields:
    subject, type_ = draw.subject(), draw.one("Evidence", "Request", "Policy", "Test")
    tested = "The test was passing during this period" if type_ == "Test" else None
    return {
        "externalId": f"EV-{1000 + draw.number}",
        "status": draw.one("Ready for audit", "Not ready for audit", "Accepted", "Flagged", "Initialized", "NA"),
        "statusUpdatedDate": iso(draw.at),
        "name": f"{subject} {type_.lower()}",
        "deletionDate": None,
        "creationDate": iso(draw.at),
        "testStatus": tested,
        "evidenceType": type_,
        "evidenceId": subject.lower().replace(" ", "-"),
        "relatedControls": [{"name": f"CRY-{100 + draw.below(40)}", "sectionNames": ["Article 13"]}],
        "description": f"Shows {subject.lower()}.",
    }


def _url(draw: Draw) -> Fields:
    return {"filename": f"example-{draw.number}.txt", "isDownloadable": True}


def _comment(draw: Draw) -> Fields:
    return {
        "auditEvidenceId": None,
        "text": f"Please add the period to {draw.subject().lower()}.",
        "creationDate": iso(draw.at),
        "modificationDate": iso(draw.at),
        "deletionDate": None,
        "email": "sam@auditor.example",
    }


def _control(draw: Draw) -> Fields:
    return {
        "externalId": f"CRY-{100 + draw.number}",
        "name": f"{draw.subject()} established",
        "description": "The company does what the name says.",
        "source": "Vanta",
        "domains": ["CRYPTOGRAPHIC_PROTECTIONS"],
        "owner": None,
        "role": None,
        "customFields": [],
    }


def _kind(name: str, make: Callable[[Draw], Fields], text: str, **more: Any) -> Kind:
    return Kind(name, lambda draw: draw.hex(24), make, text, **{"clock": iso, **more})


_DELETED = {"tombstone": "deletionDate"}
KINDS = (
    _kind("audits", _audit, "customerDisplayName", modified="modificationDate", **_DELETED),
    _kind("evidence", _evidence, "description", parent="audits", modified="statusUpdatedDate", **_DELETED),
    _kind("evidence_urls", _url, "filename", parent="evidence"),
    _kind("comments", _comment, "text", parent="audits", modified="modificationDate", **_DELETED),
    _kind("audit_controls", _control, "description", parent="audits"),
    _kind("audit_people", person, "emailAddress", parent="audits"),
    _kind("audit_vendors", assets.vendor, "name", parent="audits"),
    _kind("audit_monitored_computers", assets.computer, "serialNumber", parent="audits"),
    _kind("audit_vulnerabilities", assets.vulnerability, "description", parent="audits"),
    _kind("audit_vulnerability_remediations", assets.remediation, "severity", parent="audits"),
    _kind("audit_vulnerable_assets", assets.asset, "name", parent="audits"),
)
IN_SCOPE = tuple(kind.name.removeprefix("audit_") for kind in KINDS if kind.name.startswith("audit_"))
"""What is listed below an audit as it is, by the name in the path."""
COUNTS = {
    "audits": 4, "evidence": 15, "evidence_urls": 1, "comments": 3, "audit_controls": 5, "audit_people": 6,
    "audit_vendors": 3, "audit_monitored_computers": 4, "audit_vulnerabilities": 7,
    "audit_vulnerability_remediations": 3, "audit_vulnerable_assets": 2,
}  # fmt: skip

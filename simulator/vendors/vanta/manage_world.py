"""What a tenant of Vanta has: frameworks, tests, documents, controls, people and the rest.

Field names are those of Vanta's own server for language models and of published connectors; values are made up.
"""

from collections.abc import Callable
from typing import Any

from simulator.draw import Draw, iso
from simulator.item import Fields, Kind
from simulator.vendors.vanta import manage_assets as assets
from simulator.vendors.vanta.manage_assets import INTEGRATIONS

_FRAMEWORKS = ("soc2", "iso27001", "hipaa", "gdpr", "pci")
_CHECKS = ("mfa-enabled", "encryption-at-rest", "branch-protection-enabled", "logging-on", "access-reviewed")


def _oid(draw: Draw) -> str:
    return draw.hex(24)


def person(draw: Draw) -> Fields:
    """Someone who works there, or did."""
    name = draw.person()
    first, _, last = name.partition(" ")
    gone = draw.below(8) == 0
    details = ("completeTrainings", "acceptPolicies", "installDeviceMonitoring", "completeBackgroundChecks")
    return {
        "emailAddress": f"{first}.{last}.{draw.number}@example.com".lower(),
        "name": {"first": first, "last": last, "display": name},
        "employment": {
            "status": "FORMER" if gone else "CURRENT",
            "startDate": iso(draw.at),
            "endDate": iso(draw.later(300)) if gone else None,
            "jobTitle": draw.one("Engineer", "Designer", "Accountant", "Support"),
        },
        "leaveInfo": None,
        "groupIds": draw.refs("groups", 2),
        "sources": {"emailAddress": {"integrationId": "gsuite", "type": "INTEGRATION"}},
        "tasksSummary": {
            "status": draw.one("COMPLETE", "OVERDUE", "DUE_SOON"),
            "dueDate": iso(draw.later(60)),
            "completionDate": None,
            "details": {name: {"status": draw.one("COMPLETE", "OVERDUE")} for name in details},
        },
    }


def _framework(draw: Draw) -> Fields:
    name = _FRAMEWORKS[draw.number % len(_FRAMEWORKS)].upper()
    total = 10 + draw.below(90)
    counted = ("Controls", "Documents", "Tests")
    counts: Fields = {f"num{each}Total": total for each in counted}
    counts |= {f"num{each}{'Completed' if each == 'Controls' else 'Passing'}": draw.below(total) for each in counted}
    return {"displayName": name, "shorthandName": name, **counts}


def _framework_id(draw: Draw) -> str:
    repeat = draw.number // len(_FRAMEWORKS)
    return _FRAMEWORKS[draw.number % len(_FRAMEWORKS)] + (f"-{repeat + 1}" if repeat else "")


def _test(draw: Draw) -> Fields:
    integration = draw.one(*INTEGRATIONS)
    subject = draw.subject()
    failing = draw.below(6) == 0
    status = "NEEDS_ATTENTION" if failing else draw.one("OK", "OK", "OK", "DEACTIVATED", "NOT_APPLICABLE")
    return {
        "name": f"{subject} is in place ({integration})",
        "lastTestRunDate": iso(draw.later(30)),
        "latestFlipDate": iso(draw.at),
        "description": f"Verifies that {subject.lower()} is in place.",
        "failureDescription": f"{subject} is not in place.",
        "remediationDescription": f"Put {subject.lower()} in place.",
        "version": {"major": 1, "minor": draw.below(4), "_id": draw.hex(24)},
        "category": draw.one("SOFTWARE_DEVELOPMENT", "ACCOUNTS_ACCESS", "INFRASTRUCTURE"),
        "integrations": [integration],
        "status": status,
        "deactivatedStatusInfo": {
            "isDeactivated": status == "DEACTIVATED",
            "deactivatedReason": "Not in scope" if status == "DEACTIVATED" else None,
            "lastUpdatedDate": iso(draw.at) if status == "DEACTIVATED" else None,
        },
        "remediationStatusInfo": {
            "status": "OVERDUE" if failing else "PASS",
            "soonestRemediateByDate": iso(draw.later(90)) if failing else None,
            "itemCount": draw.below(5) + 1 if failing else 0,
        },
        "owner": assets.owner(draw),
        "_frameworks": draw.refs("frameworks", 2),
    }


def _test_id(draw: Draw) -> str:
    return f"{draw.one(*INTEGRATIONS)}-{draw.one(*_CHECKS)}-{draw.number}"


def _entity(draw: Draw) -> Fields:
    off = draw.below(5) == 0
    return {
        "entityStatus": "DEACTIVATED" if off else "FAILING",
        "displayName": f"example-org/repository-{draw.number}",
        "responseType": "GithubRepository",
        "deactivatedReason": "Archived" if off else None,
        "createdDate": iso(draw.at),
        "lastUpdatedDate": iso(draw.later(90)),
    }


def _document(draw: Draw) -> Fields:
    subject = draw.subject()
    return {
        "title": subject,
        "description": f"Evidence of {subject.lower()}.",
        "category": draw.one("Access", "People", "Operations"),
        "ownerId": draw.ref("people"),
        "isSensitive": draw.below(4) == 0,
        "uploadStatus": draw.one("Needs document", "Needs update", "Not relevant", "OK"),
        "uploadStatusDate": iso(draw.at),
        "url": f"https://app.vanta.com/documents/{draw.number}",
        "_frameworks": draw.refs("frameworks", 2),
    }


def _upload(draw: Draw) -> Fields:
    name = f"{draw.subject().lower().replace(' ', '-')}-{draw.number}.pdf"
    return {
        "fileName": name,
        "title": name.removesuffix(".pdf"),
        "description": None,
        "mimeType": "application/pdf",
        "uploadedBy": {"id": draw.ref("people"), "type": "USER"},
        "creationDate": iso(draw.at),
        "updatedDate": iso(draw.at),
        "deletionDate": None,
        "effectiveDate": iso(draw.at),
        "url": f"https://app.vanta.com/documents/{draw.parent}",
    }


def _control(draw: Draw) -> Fields:
    return {
        "externalId": f"{draw.one('CRY', 'IAM', 'OPS', 'HRS')}-{100 + draw.number}",
        "name": f"{draw.subject()} established",
        "description": "The company has established what the name says and reviews it once a year.",
        "source": "Vanta",
        "domains": [draw.one("CRYPTOGRAPHIC_PROTECTIONS", "IDENTIFICATION_AUTHENTICATION", "SECURITY_OPERATIONS")],
        "owner": assets.owner(draw),
        "role": None,
        "customFields": [],
        "creationDate": iso(draw.at),
        "modificationDate": iso(draw.at),
        "_tests": draw.refs("tests", 4),
        "_documents": draw.refs("documents", 2),
        "_frameworks": draw.refs("frameworks", 2),
    }


def _policy(draw: Draw) -> Fields:
    return {
        "name": f"{draw.subject()} policy",
        "description": "Applies to everyone.",
        "status": draw.one("OK", "NEEDS_REMEDIATION"),
        "approvedAtDate": iso(draw.at),
        "latestVersion": {"status": "APPROVED", "versionId": draw.hex(24)},
    }


def _slug(noun: str) -> Callable[[Draw], str]:
    return lambda draw: f"{noun}-{draw.number}"


def _kind(name: str, make: Callable[[Draw], Fields], text: str, **more: Any) -> Kind:
    return Kind(name, **{"id": _oid, "make": make, "text": text, "clock": iso, **more})


KINDS = (
    _kind("groups", assets.group, "name"),
    _kind("people", person, "emailAddress"),
    _kind("frameworks", _framework, "displayName", id=_framework_id),
    _kind("tests", _test, "description", id=_test_id, modified="lastTestRunDate"),
    _kind("test_entities", _entity, "displayName", parent="tests", modified="lastUpdatedDate"),
    _kind("documents", _document, "description", id=_slug("access-requests"), modified="uploadStatusDate"),
    _kind("document_uploads", _upload, "title", parent="documents", modified="updatedDate"),
    _kind("controls", _control, "description", modified="modificationDate"),
    _kind("policies", _policy, "description", id=_slug("security-policy")),
    _kind("vendors", assets.vendor, "name"),
    _kind("integrations", assets.integration, "displayName", id=assets.integration_id),
    _kind("vulnerable_assets", assets.asset, "name"),
    _kind("vulnerabilities", assets.vulnerability, "description"),
    _kind("vulnerability_remediations", assets.remediation, "severity"),
    _kind("monitored_computers", assets.computer, "serialNumber"),
    _kind("risk_scenarios", assets.risk, "description"),
)
COUNTS = {
    "groups": 4, "people": 130, "frameworks": 3, "tests": 110, "test_entities": 2, "documents": 12,
    "document_uploads": 2, "controls": 15, "policies": 12, "vendors": 25, "integrations": 8, "vulnerable_assets": 6,
    "vulnerabilities": 210, "vulnerability_remediations": 40, "monitored_computers": 30, "risk_scenarios": 5,
}  # fmt: skip

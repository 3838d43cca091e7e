"""What a tenant of Vanta looks after: suppliers, weaknesses, computers, connected systems, risks."""

from simulator.draw import DAY, Draw, day, iso
from simulator.item import Fields

INTEGRATIONS = ("aws", "github", "okta", "gsuite", "jira", "datadog", "cloudflare", "snowflake")


def owner(draw: Draw) -> Fields:
    """Who looks after it."""
    name = draw.person()
    address = f"{name.replace(' ', '.').lower()}@example.com"
    return {"id": draw.ref("people") or draw.hex(24), "emailAddress": address, "displayName": name}


def vendor(draw: Draw) -> Fields:
    """A supplier."""
    name = f"{draw.one('Acme', 'Globex', 'Initech', 'Umbrella')} {draw.one('Cloud', 'Mail', 'Pay', 'Desk')}"
    return {
        "name": name,
        "websiteUrl": f"https://{name.lower().replace(' ', '-')}.example",
        "status": draw.one("MANAGED", "ARCHIVED", "IN_PROCUREMENT"),
        "inherentRiskLevel": draw.one("HIGH", "MEDIUM", "LOW"),
        "residualRiskLevel": draw.one("MEDIUM", "LOW"),
        "nextSecurityReviewDueDate": iso(draw.later(365)),
        "lastSecurityReviewCompletionDate": iso(draw.at),
        "authDetails": {"method": "SSO", "passwordMFA": None},
        "contractAmount": {"amount": 1000 * draw.below(50), "currency": "USD"},
    }


def vulnerability(draw: Draw) -> Fields:
    """A weakness that a scanner found."""
    return {
        "name": f"CVE-2025-{10_000 + draw.number}",
        "description": "Input is not checked.",
        "severity": draw.one("CRITICAL", "HIGH", "MEDIUM", "LOW"),
        "cvssSeverityScore": draw.below(101) / 10,
        "isFixable": draw.below(3) > 0,
        "fixedVersion": f"1.{draw.below(20)}.0",
        "remediateByDate": iso(draw.later(90)),
        "firstDetectedDate": iso(draw.at),
        "lastDetectedDate": iso(draw.later(30)),
        "targetId": draw.ref("vulnerable_assets"),
        "packageIdentifier": f"package-{draw.below(50)}",
        "integrationId": draw.ref("integrations"),
        "externalURL": f"https://nvd.example/vuln/{draw.number}",
        "deactivateMetadata": None,
    }


def remediation(draw: Draw) -> Fields:
    """A weakness that was dealt with, and by when."""
    return {
        "vulnerabilityId": draw.ref("vulnerabilities"),
        "vulnerableAssetId": draw.ref("vulnerable_assets"),
        "severity": draw.one("CRITICAL", "HIGH", "MEDIUM", "LOW"),
        "detectedDate": iso(draw.at),
        "slaDeadlineDate": iso(draw.later(90)),
        "remediationDate": iso(draw.later(120)),
    }


def computer(draw: Draw) -> Fields:
    """A computer that the agent looks after."""
    return {
        "integrationId": "vanta-agent",
        "lastCheckDate": iso(draw.later(30)),
        "serialNumber": draw.upper(12),
        "udid": draw.uuid(),
        "operatingSystem": {"type": "macOS", "version": f"15.{draw.below(6)}"},
        "owner": owner(draw),
        "diskEncryption": {"outcome": draw.one("PASS", "FAIL")},
        "screenlock": {"outcome": draw.one("PASS", "FAIL")},
        "passwordManager": {"outcome": "PASS"},
        "antivirusInstallation": {"outcome": "PASS"},
    }


def integration(draw: Draw) -> Fields:
    """A connected system."""
    name = INTEGRATIONS[draw.number % len(INTEGRATIONS)]
    connection = {"connectionId": draw.hex(24), "isDisabled": False, "connectionErrorMessage": None}
    return {"displayName": name.title(), "resourceKinds": ["Account"], "connections": [connection]}


def integration_id(draw: Draw) -> str:
    """Its readable id."""
    repeat = draw.number // len(INTEGRATIONS)
    return INTEGRATIONS[draw.number % len(INTEGRATIONS)] + (f"-{repeat + 1}" if repeat else "")


def group(draw: Draw) -> Fields:
    """A group of people."""
    return {"name": f"{draw.subject()} team", "creationDate": iso(draw.at)}


def asset(draw: Draw) -> Fields:
    """Something that may have weaknesses."""
    return {"name": f"image-{draw.number}", "assetType": "CONTAINER_REPOSITORY", "hasBeenScanned": True}


def risk(draw: Draw) -> Fields:
    """What may go wrong."""
    return {
        "description": f"{draw.subject()} fails",
        "likelihood": 1 + draw.below(5),
        "impact": 1 + draw.below(5),
        "owner": owner(draw)["emailAddress"],
        "identificationDate": day(draw.at - DAY),
    }

"""What an organization on GitHub has. Field names from docs.github.com/rest; values are made up."""

from collections.abc import Callable
from typing import Any

from simulator.draw import DAY, Draw, iso
from simulator.item import Fields, Kind

ORGANIZATION = "example-org"
_RULES = ("pull_request", "required_signatures", "non_fast_forward", "deletion")


def _number(draw: Draw) -> str:
    return str(1_000_000 + draw.below(900_000_000))


def _user(draw: Draw) -> Fields:
    login = f"{draw.person().replace(' ', '-').lower()}-{draw.number}"
    return {
        "login": login,
        "node_id": f"U_{draw.base62(12)}",
        "url": f"https://api.github.com/users/{login}",
        "html_url": f"https://github.com/{login}",
        "type": "User",
        "site_admin": False,
        "_role": "admin" if draw.below(8) == 0 else "member",
        "_2fa": draw.one("secure", "secure", "secure", "insecure", "disabled"),
    }


def _repository(draw: Draw) -> Fields:
    name = f"{draw.subject().lower().replace(' ', '-')}-{draw.number}"
    private = draw.below(3) > 0
    return {
        "node_id": f"R_{draw.base62(12)}",
        "name": name,
        "full_name": f"{ORGANIZATION}/{name}",
        "owner": {"login": ORGANIZATION, "type": "Organization"},
        "private": private,
        "visibility": "private" if private else "public",
        "description": f"About {draw.subject().lower()}",
        "fork": False,
        "archived": draw.below(6) == 0,
        "disabled": False,
        "default_branch": "main",
        "url": f"https://api.github.com/repos/{ORGANIZATION}/{name}",
        "html_url": f"https://github.com/{ORGANIZATION}/{name}",
        "created_at": iso(draw.at),
        "updated_at": iso(draw.at),
        "pushed_at": iso(draw.later(30)),
    }


def _protection(draw: Draw) -> Fields:
    return {
        "required_status_checks": {"strict": True, "contexts": ["test"], "checks": [{"context": "test"}]},
        "enforce_admins": {"enabled": draw.below(2) == 0},
        "required_pull_request_reviews": {
            "dismiss_stale_reviews": True,
            "require_code_owner_reviews": draw.below(2) == 0,
            "required_approving_review_count": 1 + draw.below(2),
        },
        "required_signatures": {"enabled": draw.below(2) == 0},
        "required_linear_history": {"enabled": False},
        "allow_force_pushes": {"enabled": False},
        "allow_deletions": {"enabled": False},
        "_text": "protection",
    }


def _rule(draw: Draw) -> Fields:
    return {
        "type": _RULES[draw.number % len(_RULES)],  # no two alike from one set of rules
        "ruleset_source_type": "Organization",
        "ruleset_source": ORGANIZATION,
        "ruleset_id": int(draw.ref("rulesets") or 0),
    }


def _ruleset(draw: Draw) -> Fields:
    return {
        "name": f"{draw.subject()} rules",
        "target": "branch",
        "source_type": "Organization",
        "source": ORGANIZATION,
        "enforcement": draw.one("active", "evaluate", "disabled"),
        "created_at": iso(draw.at),
        "updated_at": iso(draw.at),
    }


def _entry(draw: Draw) -> Fields:
    action = draw.one("team.add_member", "org.add_member", "repo.create", "protected_branch.destroy", "git.clone")
    millis = int(draw.at * 1000)
    return {
        "@timestamp": millis,
        "action": action,
        "actor": draw.person().replace(" ", "-").lower(),
        "created_at": millis,
        "org": ORGANIZATION,
        "user": draw.person().replace(" ", "-").lower(),
    }


def _alert(draw: Draw) -> Fields:
    package = {"ecosystem": draw.one("pip", "npm", "go"), "name": f"package-{draw.below(40)}"}
    severity = draw.one("critical", "high", "medium", "low")
    state = draw.one("open", "open", "fixed", "dismissed")
    return {
        "state": state,
        "dependency": {"package": package, "manifest_path": "requirements.txt", "scope": "runtime"},
        "security_advisory": {
            "ghsa_id": f"GHSA-{draw.hex(4)}-{draw.hex(4)}-{draw.hex(4)}",
            "summary": f"{package['name']} does not check its input",
            "severity": severity,
        },
        "security_vulnerability": {"package": package, "severity": severity},
        "created_at": iso(draw.at),
        "updated_at": iso(draw.later(60)),
        "dismissed_at": None,
        "fixed_at": None,
        "dismissed_comment": None,
        "_repository": draw.ref("repos"),
    }


def _kind(name: str, make: Callable[[Draw], Fields], text: str, **more: Any) -> Kind:
    return Kind(name, **{"id": _number, "make": make, "text": text, "clock": iso, "number": True, **more})


def _of_repository(name: str, make: Callable[[Draw], Fields], text: str) -> Kind:
    # GitHub gives these no id of their own.
    return _kind(name, make, text, id=lambda draw: f"{name}-{draw.number}", key="", number=False, parent="repos")


KINDS = (
    _kind("members", _user, "html_url"),
    _kind("outside_collaborators", _user, "html_url"),
    _kind("rulesets", _ruleset, "name", modified="updated_at"),
    _kind("repos", _repository, "description", modified="updated_at"),
    _of_repository("branch_protections", _protection, "_text"),
    _of_repository("branch_rules", _rule, "type"),
    _kind(
        "audit_log",
        _entry,
        "user",
        id=lambda draw: draw.base62(22),
        key="_document_id",
        number=False,
        age=60 * DAY,
    ),
    _kind("dependabot_alerts", _alert, "dismissed_comment", id=lambda draw: str(draw.number + 1), key="number",
          modified="updated_at"),
)  # fmt: skip
COUNTS = {
    "members": 130, "outside_collaborators": 8, "rulesets": 3, "repos": 12, "branch_protections": 1,
    "branch_rules": 2, "audit_log": 230, "dependabot_alerts": 120,
}  # fmt: skip
EVERY = 4
"""One in so many default branches is not protected."""

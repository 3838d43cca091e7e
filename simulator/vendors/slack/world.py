"""What a workspace of Slack has. Field names from docs.slack.dev; values are made up.

A user who is removed stays listed, as `deleted`.
"""

from simulator.draw import DAY, Draw
from simulator.item import Fields, Kind

TEAM = "T01SIMULATE"
DOMAIN = "simulated"
_AGENTS = ("Mozilla/5.0 (Macintosh)", "Mozilla/5.0 (X11; Linux x86_64)", "SlackAndroid/24.10", "SlackiOS/24.10")
_ACTIONS = ("user_login", "user_logout", "file_downloaded", "app_installed", "user_channel_join")


def _user(draw: Draw) -> Fields:
    name = draw.person()
    login = f"{name.replace(' ', '.').lower()}.{draw.number}"
    gone = draw.below(10) == 0
    return {
        "team_id": TEAM,
        "name": login,
        "deleted": gone,
        "real_name": name,
        "is_admin": draw.below(12) == 0,
        "is_owner": draw.number == 0,
        "is_primary_owner": draw.number == 0,
        "is_bot": draw.below(15) == 0,
        "is_restricted": draw.below(20) == 0,
        "is_ultra_restricted": False,
        "has_2fa": draw.below(4) > 0,
        "updated": int(draw.at),
        "profile": {"real_name": name, "email": f"{login}@example.com"},
    }


def _ip(draw: Draw) -> str:
    return f"198.51.100.{1 + draw.below(254)}"


def _login(draw: Draw) -> Fields:
    return {
        "user_id": draw.ref("users"),
        "username": draw.person().replace(" ", ".").lower(),
        "date_first": int(draw.at) - draw.below(30 * DAY),
        "date_last": int(draw.at),
        "count": 1 + draw.below(50),
        "ip": _ip(draw),
        "user_agent": draw.one(*_AGENTS),
        "isp": "Example Net",
        "country": draw.one("NL", "US", "DE"),
        "region": draw.one("NH", "CA", "BE"),
    }


def _entry(draw: Draw) -> Fields:
    name = draw.person()
    who = {
        "id": draw.ref("users"),
        "name": name,
        "email": f"{name.replace(' ', '.').lower()}@example.com",
        "team": TEAM,
    }
    return {
        "date_create": int(draw.at),
        "action": draw.one(*_ACTIONS),
        "actor": {"type": "user", "user": who},
        "entity": {"type": "user", "user": who},
        "context": {
            "location": {"type": "workspace", "id": TEAM, "name": DOMAIN, "domain": DOMAIN},
            "ua": draw.one(*_AGENTS),
            "session_id": draw.below(10**9),
            "ip_address": _ip(draw),
        },
    }


KINDS = (
    Kind("users", lambda draw: f"U{draw.upper(10)}", _user, "real_name", modified="updated", tombstone="deleted",
         mark=True),
    Kind("access_logs", lambda draw: f"login-{draw.number}", _login, "isp", key=""),
    Kind("audit_logs", lambda draw: draw.uuid(), _entry, "action"),
)  # fmt: skip
COUNTS = {"users": 450, "access_logs": 260, "audit_logs": 400}

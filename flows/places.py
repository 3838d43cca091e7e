"""Where the credential of each API is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where the credential of an API is kept.

    Attributes:
        variable: In the environment.
        block: The class in `flows.blocks`.
        identity: The variable of the client id, where the secret has one.
        scope: What a token is asked for, where there is a client id.
        token_path: Where tokens are given, at the API's host.
    """

    variable: str
    block: str
    identity: str = ""
    scope: str = ""
    token_path: str = "/oauth/token"  # noqa: S105  # a path

    @property
    def variables(self) -> str:
        """All that has to be set, for messages."""
        return f"{self.identity} and {self.variable}" if self.identity else self.variable


PLACES: Mapping[str, Place] = {
    "notion": Place("NOTION_TOKEN", "NotionCredentials"),
    "vanta": Place("VANTA_CLIENT_SECRET", "VantaCredentials", "VANTA_CLIENT_ID", "vanta-api.all:read"),
    "vanta_auditor": Place(
        "VANTA_AUDITOR_CLIENT_SECRET",
        "VantaAuditorCredentials",
        "VANTA_AUDITOR_CLIENT_ID",
        "auditor-api.audit:read auditor-api.auditor:read",
    ),
    "fieldguide": Place("FIELDGUIDE_TOKEN", "FieldguideCredentials"),
    "github": Place("GITHUB_TOKEN", "GitHubCredentials"),
    "slack": Place("SLACK_TOKEN", "SlackCredentials"),
    "slack_audit": Place("SLACK_AUDIT_TOKEN", "SlackAuditCredentials"),
    "airtable": Place("AIRTABLE_TOKEN", "AirtableCredentials"),
    "openai": Place("OPENAI_ADMIN_KEY", "OpenAICredentials"),
    "zapier": Place("ZAPIER_HOOK_URL", "ZapierHook"),
}
"""By API. Any other API may have a bearer token in `<NAME>_TOKEN`, and no block."""

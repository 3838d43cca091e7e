"""Credentials as Prefect blocks, registered through the `prefect.collections` entry point.

Each makes clients that send its secret at the rate that was learned for its API. Name a saved one where credentials are
asked for (`aimd sync notion --credentials NAME`, the parameter of a deployment, `call_api(..., credentials=NAME)`).
A server in whose environment this package is installed offers them by itself; to another one,
`prefect block register -m flows.blocks` makes them known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from flows.credential import Application, Credential
from flows.credentials import credential_of
from limiter import AimdClient, AsyncAimdClient, make_async_client_for, make_client_for


class ApiCredentials(Block, ABC):
    """The credential of one API; the kinds of it say which."""

    _api: ClassVar[str]
    """Name of the preset."""

    @property
    @abstractmethod
    def secret(self) -> str:
        """The secret in clear."""

    def credential(self, origin: str) -> Credential:
        """The secret as the kind of credential it is.

        Args:
            origin: Where it came from, for messages.

        Raises:
            ConfigurationError: It cannot be one; the message does not show it.
        """
        return credential_of(self._api, self.secret, origin)

    def get_client(self, **kwargs: Any) -> AimdClient:
        """A client that sends this credential at the rate that was learned for its API.

        Args:
            **kwargs: As for `limiter.make_client_for`, such as `tenant`, `quota_key`, `max_wait`, `headers`.

        Raises:
            ConfigurationError: The credential cannot be one; the message does not show it.
        """
        return make_client_for(self._api, **self._options(kwargs))

    def get_async_client(self, **kwargs: Any) -> AsyncAimdClient:
        """As `get_client`, an `httpx.AsyncClient`."""
        return make_async_client_for(self._api, **self._options(kwargs))

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, **self.credential("the block").client_options(given.get("headers"))}


class TokenCredentials(ApiCredentials, ABC):
    """A bearer token."""

    token: SecretStr = Field(title="Token", description="Sent as a bearer token; never shown again.")

    @property
    def secret(self) -> str:
        """The token in clear."""
        return self.token.get_secret_value()


class NotionCredentials(TokenCredentials):
    """The token of a Notion integration.

    Example:
        >>> NotionCredentials(token="ntn_1")
        NotionCredentials(token=SecretStr('**********'))
    """

    _api = "notion"
    _block_type_name = "Notion Credentials"
    _block_type_slug = "notion-credentials"
    _description = "The token of a Notion integration (internal secret or OAuth access token)."
    _documentation_url = HttpUrl("https://developers.notion.com/docs/authorization")


class ApplicationCredentials(ApiCredentials, ABC):
    """A client id and secret."""

    client_id: str = Field(title="Client ID", description="Names the application; no secret.")
    client_secret: SecretStr = Field(title="Client secret", description="Never shown again.")

    @property
    def secret(self) -> str:
        """The client secret in clear."""
        return self.client_secret.get_secret_value()

    def credential(self, origin: str) -> Credential:
        """See `ApiCredentials.credential`."""
        return Application(self.secret.strip(), origin, self.client_id.strip(), self._api)


class VantaCredentials(ApplicationCredentials):
    """An application of Vanta's that manages a tenant (Manage Vanta).

    Example:
        >>> VantaCredentials(client_id="vci_1", client_secret="vcs_1")
        VantaCredentials(client_id='vci_1', client_secret=SecretStr('**********'))
    """

    _api = "vanta"
    _block_type_name = "Vanta Credentials"
    _block_type_slug = "vanta-credentials"
    _description = "Client id and secret of a Vanta application for one's own tenant (Manage Vanta)."
    _documentation_url = HttpUrl("https://developer.vanta.com/docs/api-access-setup")


class VantaAuditorCredentials(ApplicationCredentials):
    """An application of Vanta's for auditors (Conduct an audit)."""

    _api = "vanta_auditor"
    _block_type_name = "Vanta Auditor Credentials"
    _block_type_slug = "vanta-auditor-credentials"
    _description = "Client id and secret of a Vanta application of an audit partner (Conduct an audit)."
    _documentation_url = HttpUrl("https://developer.vanta.com/docs/api-access-setup")


class FieldguideCredentials(TokenCredentials):
    """A Fieldguide API token."""

    _api = "fieldguide"
    _block_type_name = "Fieldguide Credentials"
    _block_type_slug = "fieldguide-credentials"
    _description = "A Fieldguide API token."
    _documentation_url = HttpUrl("https://www.fieldguide.io")


class GitHubCredentials(TokenCredentials):
    """A GitHub token: fine-grained, classic, or of an app's installation."""

    _api = "github"
    # Not "GitHub Credentials": that is the block of prefect-github, and one name is one type on a server.
    _block_type_name = "GitHub API Credentials"
    _block_type_slug = "github-api-credentials"
    _description = "A GitHub token (fine-grained, classic, or of an app's installation)."
    _documentation_url = HttpUrl("https://docs.github.com/rest/authentication/authenticating-to-the-rest-api")


class SlackCredentials(TokenCredentials):
    """A Slack token: of a bot or a user."""

    _api = "slack"
    # Not "Slack Credentials": that is the block of prefect-slack.
    _block_type_name = "Slack API Credentials"
    _block_type_slug = "slack-api-credentials"
    _description = "A Slack token, of a bot (xoxb-) or a user (xoxp-)."
    _documentation_url = HttpUrl("https://docs.slack.dev/authentication/tokens")


class SlackAuditCredentials(TokenCredentials):
    """A Slack token for the audit logs of an Enterprise organization: an owner's."""

    _api = "slack_audit"
    _block_type_name = "Slack Audit Logs Credentials"
    _block_type_slug = "slack-audit-logs-credentials"
    _description = "A user token (xoxp-) of an organization's owner with auditlogs:read."
    _documentation_url = HttpUrl("https://docs.slack.dev/admins/audit-logs-api")


class AirtableCredentials(TokenCredentials):
    """An Airtable personal access token."""

    _api = "airtable"
    _block_type_name = "Airtable Credentials"
    _block_type_slug = "airtable-credentials"
    _description = "An Airtable personal access token."
    _documentation_url = HttpUrl("https://airtable.com/developers/web/api/authentication")


class OpenAICredentials(TokenCredentials):
    """An OpenAI admin key, which the organization's endpoints ask for."""

    _api = "openai"
    _block_type_name = "OpenAI Admin Credentials"
    _block_type_slug = "openai-admin-credentials"
    _description = "An OpenAI admin key, which the endpoints of an organization ask for."
    _documentation_url = HttpUrl("https://platform.openai.com/docs/api-reference/administration")


class ZapierHook(ApiCredentials):
    """The address of a Zapier webhook, which is itself the secret; its client posts to `""`.

    Example:
        >>> hook = ZapierHook(hook_url="https://hooks.zapier.com/hooks/catch/123/abc/")
        >>> with hook.get_client() as client:  # doctest: +SKIP
        ...     client.post("", json={"what": "a sync was incomplete"})
    """

    _api = "zapier"
    _block_type_name = "Zapier Hook"
    _block_type_slug = "zapier-hook"
    _description = "The address of a Zapier webhook (Catch Hook), which is itself the secret."
    _documentation_url = HttpUrl("https://help.zapier.com/hc/en-us/articles/8496288690317")

    hook_url: SecretStr = Field(title="Hook URL", description="As Zapier's Catch Hook shows it; never shown again.")

    @property
    def secret(self) -> str:
        """The address in clear."""
        return self.hook_url.get_secret_value()

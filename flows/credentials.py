"""Where a credential comes from: a Prefect block named in the call, or else the environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from flows.client_credentials import ClientCredentialsAuth, Grant
from flows.errors import MissingCredential
from limiter import ConfigurationError, api_config


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


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token.

    Attributes:
        token: The secret; not in the repr.
        origin: The variable or block it came from, for messages.

    Raises:
        ConfigurationError: The token cannot be one; the message does not show it.
    """

    noun: ClassVar[str] = "token"

    token: str = field(repr=False)
    origin: str

    def __post_init__(self) -> None:
        if not self.token:
            raise ConfigurationError(f"The {self.noun} from {self.origin} is empty. Nothing was sent; copy it again.")
        # Checked here, since the HTTP library would quote the header in its error.
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise ConfigurationError(
                f"The {self.noun} from {self.origin} holds a space, a line break or another character that no "
                f"{self.noun} has. Nothing was sent; copy it again."
            )

    @property
    def headers(self) -> dict[str, str]:
        """What authorizes a request."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart in the evidence without giving anything away: 16 digits of a SHA-256."""
        return hashlib.sha256(f"prefect-aimd credential {self.token}".encode()).hexdigest()[:16]

    def client_options(self, headers: Any = None) -> dict[str, Any]:
        """What `limiter.make_client_for` needs to be told.

        Args:
            headers: Further headers of the client, in any form that httpx takes.
        """
        together = httpx.Headers(headers)
        together.update(self.headers)
        return {"headers": together}


@dataclass(frozen=True, slots=True)
class HookUrl(Credential):
    """An address that is itself the secret: whoever knows it may post. Requests to `""` go there."""

    noun: ClassVar[str] = "hook URL"

    def __post_init__(self) -> None:
        Credential.__post_init__(self)
        try:
            url = httpx.URL(self.token)
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigurationError(
                f"The hook URL from {self.origin} is no http or https address. Nothing was sent; copy it again."
            )

    @property
    def headers(self) -> dict[str, str]:
        """None: the address authorizes."""
        return {}

    def client_options(self, headers: Any = None) -> dict[str, Any]:
        """See `Credential.client_options`. The client itself knows the host, and not the rest of the address."""
        url = httpx.URL(self.token)
        shown = httpx.URL(scheme=url.scheme, host=url.host, port=url.port, path="/")
        return {"headers": headers, "base_url": str(shown), "auth": _SecretAddress(url, shown)}


class _SecretAddress(httpx.Auth):
    """Sends to a secret address what is addressed to a harmless one, which is what errors and their requests show.

    Only the log of httpx itself shows where a request went: leave it above INFO, where it is by default.
    """

    def __init__(self, url: httpx.URL, shown: httpx.URL) -> None:
        self._url = url
        self._shown = shown

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth.auth_flow`."""
        shown = request.url
        if shown.copy_with(query=None) == self._shown:
            request.url = self._url.copy_merge_params(shown.params)
        try:
            yield request
        finally:
            request.url = shown


@dataclass(frozen=True, slots=True)
class Application(Credential):
    """A client id and secret, for which the API gives tokens that last an hour.

    Attributes:
        client_id: Names the application.
        api: Name of the preset, whose address the tokens come from and are for.
    """

    noun: ClassVar[str] = "client secret"

    client_id: str = ""
    api: str = ""

    def __post_init__(self) -> None:
        Credential.__post_init__(self)
        Credential(self.client_id, f"the client id of {self.origin}")

    @property
    def headers(self) -> dict[str, str]:
        """None that last."""
        return {}

    @property
    def fingerprint(self) -> str:
        """Of the client id: the application stays the same when its secret is changed."""
        return hashlib.sha256(f"prefect-aimd credential {self.client_id}".encode()).hexdigest()[:16]

    def client_options(self, headers: Any = None, base_url: str | None = None) -> dict[str, Any]:
        """See `Credential.client_options`.

        Args:
            headers: Further headers of the client, in any form that httpx takes.
            base_url: The API's address; by default the preset's.
        """
        place = PLACES[self.api]
        grant = Grant(self.client_id, self.token, place.scope, place.token_path, self.origin)
        address = base_url or api_config(self.api).base_url
        return {"headers": headers, "auth": ClientCredentialsAuth(grant, address)}


def credential_for(api: str, block: str | None = None, environment: Mapping[str, str] = os.environ) -> Credential:
    """The credential of an API.

    Args:
        api: Name of a preset.
        block: Name of a Prefect block document, which wins over the environment.
        environment: Where to look for the variable.

    Raises:
        MissingCredential: There is none; the message names the variable and the block.
        ConfigurationError: The block cannot be loaded, or the credential cannot be one.

    Example:
        >>> credential_for("notion", environment={"NOTION_TOKEN": "ntn_1"})
        Credential(origin='NOTION_TOKEN')
    """
    if block is not None:
        return _from_block(api, block)
    place = PLACES.get(api)
    variable = place.variable if place else f"{api.upper().replace('-', '_')}_TOKEN"
    if secret := environment.get(variable, "").strip():
        if place is None or not place.identity:
            return credential_of(api, secret, variable)
        if client_id := environment.get(place.identity, "").strip():
            return Application(secret, place.variables, client_id, api)
    or_block = f", or save a {place.block} block and name it (--credentials NAME)" if place else ""
    raise MissingCredential(
        f"There is no credential for {api}: set {place.variables if place else variable}{or_block}. Nothing was sent.",
        variable=variable,
    )


def client_options_for(api: str, block: str | None = None, headers: Any = None) -> dict[str, Any]:
    """What `limiter.make_client_for` needs to be told to send an API's credential; an API of one's own may need none.

    Args:
        api: A preset, or a name from `AIMD_CONFIG` or `API_RATE_CONFIGS`.
        block: Name of a Prefect block document, which wins over the environment.
        headers: Further headers of the client.

    Raises:
        MissingCredential: There is none for an API that needs one.
        ConfigurationError: The block cannot be loaded, or the credential cannot be one.
    """
    try:
        return credential_for(api, block).client_options(headers)
    except MissingCredential:
        if api in PLACES:
            raise
        return {"headers": headers}


def credential_of(api: str, secret: str, origin: str) -> Credential:
    """A secret of an API as the kind of credential it is; white space around it is not part of it.

    Args:
        api: Name of a preset.
        secret: The token, or the hook URL.
        origin: Where it came from, for messages.

    Raises:
        ConfigurationError: It cannot be one.
    """
    kind = HookUrl if api == "zapier" else Credential
    return kind(secret.strip(), origin)


def _from_block(api: str, name: str) -> Credential:
    if api not in PLACES:
        raise ConfigurationError(f"There is no type of block for the credential of {api}. Nothing was sent; name none.")
    from flows import blocks

    place = PLACES[api]
    block_type = getattr(blocks, place.block)
    try:
        block = block_type.load(name, _sync=True)  # where a loop runs, it would give a coroutine
    # Prefect's words for a block that is not there and for one that is not of the type, whose cause shows its content.
    except (ValueError, RuntimeError):
        raise ConfigurationError(
            f"The Prefect server has no {place.block} block {name!r}. Nothing was sent; save one, or name none and set "
            f"{place.variables}."
        ) from None
    credential: Credential = block.credential(f"the block {name!r}")
    return credential

"""The kinds of credential: a bearer token, an address that is itself the secret, a client id and secret."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from flows.client_credentials import ClientCredentialsAuth, Grant
from flows.places import PLACES
from limiter import ConfigurationError
from limiter.redaction import Unshown


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
    """Sends to a secret address what is addressed to a harmless one, which is what errors, requests and logs show."""

    def __init__(self, url: httpx.URL, shown: httpx.URL) -> None:
        self._url = url
        self._shown = shown
        self.secrets = (str(url), url.path)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth.auth_flow`."""
        shown = request.url
        if shown.copy_with(query=None) == self._shown:
            request.url = Unshown(self._url.copy_merge_params(shown.params))
        try:
            yield request
        finally:
            request.url = shown


@dataclass(frozen=True, slots=True)
class Application(Credential):
    """A client id and secret, for which the API gives tokens that last an hour.

    Attributes:
        client_id: Names the application.
        api: Name of the preset that the tokens are for.
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

    def client_options(self, headers: Any = None) -> dict[str, Any]:
        """See `Credential.client_options`. The tokens come from the client's own address of the API."""
        place = PLACES[self.api]
        grant = Grant(self.client_id, self.token, place.scope, place.token_path, self.origin)
        return {"headers": headers, "auth": ClientCredentialsAuth(grant)}

"""Where a credential comes from: a Prefect block named in the call, or else the environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.errors import MissingCredential
from limiter import ConfigurationError

VARIABLES: Mapping[str, str] = {
    "notion": "NOTION_TOKEN",
    "fieldguide": "FIELDGUIDE_TOKEN",
    "github": "GITHUB_TOKEN",
    "slack": "SLACK_TOKEN",
    "airtable": "AIRTABLE_TOKEN",
    "openai": "OPENAI_ADMIN_KEY",
}
"""The environment variable of each API that takes a bearer token; of any other API it is `<NAME>_TOKEN`."""
BLOCKS: Mapping[str, str] = {"notion": "NotionCredentials"}
"""The class in `flows.blocks`, by API."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token.

    Attributes:
        token: The secret; not in the repr.
        origin: The variable or block it came from, for messages.
    """

    token: str = field(repr=False)
    origin: str

    def __post_init__(self) -> None:
        if not self.token:
            raise ConfigurationError(f"The token from {self.origin} is empty. Nothing was sent; copy it again.")
        # Checked here, since the HTTP library would quote the header in its error.
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise ConfigurationError(
                f"The token from {self.origin} holds a space, a line break or another character that no token has. "
                "Nothing was sent; copy it again."
            )

    @property
    def headers(self) -> dict[str, str]:
        """What authorizes a request."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart in the evidence without giving anything away: 16 digits of a SHA-256."""
        return hashlib.sha256(f"prefect-aimd credential {self.token}".encode()).hexdigest()[:16]


def credential_for(api: str, block: str | None = None, environment: Mapping[str, str] = os.environ) -> Credential:
    """The credential of an API.

    Args:
        api: Name of a preset.
        block: Name of a Prefect block document, which wins over the environment.
        environment: Where to look for the variable.

    Raises:
        MissingCredential: There is none; the message names the variable and the block.
        ConfigurationError: The block cannot be loaded, or the token cannot be one.

    Example:
        >>> credential_for("notion", environment={"NOTION_TOKEN": "ntn_1"})
        Credential(origin='NOTION_TOKEN')
    """
    if block is not None:
        return _from_block(api, block)
    variable = VARIABLES.get(api, f"{api.upper().replace('-', '_')}_TOKEN")
    if token := environment.get(variable, "").strip():
        return Credential(token, variable)
    or_block = f", or save a {BLOCKS[api]} block and name it (--credentials NAME)" if api in BLOCKS else ""
    raise MissingCredential(
        f"There is no credential for {api}: set {variable}{or_block}. Nothing was sent.", variable=variable
    )


def _from_block(api: str, name: str) -> Credential:
    if api not in BLOCKS:
        raise ConfigurationError(f"There is no type of block for the credential of {api}. Nothing was sent; name none.")
    from flows import blocks

    block_type = getattr(blocks, BLOCKS[api])
    try:
        block = block_type.load(name, _sync=True)  # where a loop runs, it would give a coroutine
    # Prefect's words for a block that is not there and for one that is not of the type, whose cause shows its content.
    except (ValueError, RuntimeError):
        raise ConfigurationError(
            f"The Prefect server has no {BLOCKS[api]} block {name!r}. Nothing was sent; save one, or name none and set "
            f"{VARIABLES[api]}."
        ) from None
    return Credential(block.token.get_secret_value().strip(), f"the block {name!r}")

"""Where a credential comes from: a Prefect block named in the call, or else the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flows.credential import Application, Credential, HookUrl
from flows.errors import MissingCredential
from flows.places import PLACES
from limiter import ConfigurationError


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

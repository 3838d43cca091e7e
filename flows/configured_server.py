"""The Prefect server that the user has configured, and whether it can be used, before anything is attempted."""

from __future__ import annotations

import httpx
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings
from pydantic import ValidationError

from limiter import ConfigurationError

_EXAMPLE = "http://127.0.0.1:4200/api"
_PATIENCE = 10.0
"""Seconds for an answer."""


def server_address() -> str | None:
    """The address of its API, without a password; None if none is configured.

    Raises:
        ConfigurationError: Prefect's settings cannot be used.
    """
    try:
        url = get_current_settings().api.url
        return url and str(httpx.URL(url).copy_with(userinfo=b""))
    except (ValidationError, httpx.InvalidURL) as error:
        # Without the values, which may be secrets.
        said = [each["msg"] for each in error.errors()] if isinstance(error, ValidationError) else [str(error)]
        raise ConfigurationError(
            f"Prefect's settings cannot be used ({'; '.join(said)}); nothing was attempted. Correct PREFECT_API_URL, "
            f"as {_EXAMPLE}, and what else is set for Prefect."
        ) from None


def needed_server(purpose: str) -> str:
    """The address of a server that answers.

    Args:
        purpose: What needs it; the subject of a sentence.

    Raises:
        ConfigurationError: None is configured, or it cannot be used.
    """
    address = server_address()
    if not address:
        raise ConfigurationError(
            f"{purpose} needs a Prefect server, and none is configured; nothing was attempted. Start one (`prefect "
            f"server start`) and set PREFECT_API_URL={_EXAMPLE}."
        )
    check_server(address, "set PREFECT_API_URL to one that runs")
    return address


def check_server(address: str, otherwise: str) -> None:
    """Ask it for something, with all that Prefect is set to use: keys, certificates, proxies.

    Args:
        address: As `server_address` gives it, for messages.
        otherwise: What to do instead of starting it.

    Raises:
        ConfigurationError: It does not answer, or not as this version of Prefect needs it.
    """
    try:
        with get_client(httpx_settings={"timeout": _PATIENCE}, sync_client=True) as client:
            # Not its health, which a server tells without a key, and Prefect Cloud not at all.
            client.read_flows(limit=1)
            client.raise_for_api_version_mismatch()
    except httpx.TransportError as error:
        raise ConfigurationError(
            f"The Prefect server at {address} does not answer ({type(error).__name__}); nothing was attempted. Start "
            f"it (`prefect server start`), or {otherwise}."
        ) from None
    except Exception as error:  # whatever a stranger's answer makes Prefect's client raise
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
        said = status or (error if isinstance(error, RuntimeError) else type(error).__name__)  # of other versions
        raise ConfigurationError(
            f"What answers at {address} is no Prefect API that can be used ({said}); nothing was attempted. Set "
            f"PREFECT_API_URL to one (as {_EXAMPLE}), and PREFECT_API_KEY or PREFECT_API_AUTH_STRING if it needs them."
        ) from None

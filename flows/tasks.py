"""Tasks for anyone's flow: one call of an API at the rate that was learned for it.

Throttles and faults are the limiter's to wait for and to retry, so these tasks have no retries of their own; what is
raised is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import httpx
from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from flows.credentials import VARIABLES, Credential, credential_for
from flows.errors import MissingCredential
from limiter import make_async_client_for, make_client_for
from state import context


@task(name="call API", task_run_name="{method} {api} {path}", cache_policy=NO_CACHE)
def call_api(
    api: str,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    tenant: str = "default",
    quota_key: str | None = None,
    credentials: str | None = None,
    safe: bool = False,
    max_wait: float | None = None,
) -> Any:
    """Call an API as fast as it allows.

    Args:
        api: A preset, or a name from `AIMD_CONFIG` or `API_RATE_CONFIGS`.
        method: HTTP method.
        path: Relative to the API's base URL.
        params: Query parameters.
        json: JSON body.
        headers: Further headers. Not for credentials: those come from the environment or a block.
        tenant: On whose behalf.
        quota_key: Whose quota; by default the tenant's.
        credentials: Name of a Prefect block with the credential, before the environment's variable.
        safe: The request only reads, whatever its method, so that a fault may be tried again.
        max_wait: Seconds it may wait in all; None for as long as it takes.

    Returns:
        The JSON of the answer; its text if it is not JSON, None if it is empty.

    Raises:
        ConfigurationError: An unknown API, or no credential; nothing was sent.
        TryLater: It would have to wait longer than `max_wait`, or the vendor kept refusing.
        Terminal: The vendor says that waiting will not help.
        httpx.HTTPStatusError: The vendor answered with an error.
        httpx.TransportError: The vendor could not be reached.

    Example:
        >>> from prefect import flow
        >>> @flow
        ... def team():
        ...     return call_api("notion", "GET", "/users", params={"page_size": 100})["results"]
    """
    context.run_id.set(_flow_run_id())
    sent = {**_authorization(api, credentials), **(headers or {})}
    with make_client_for(api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, headers=sent) as client:
        response = client.request(method, path, params=params, json=json, extensions={"safe": safe})
    return _content(response)


@task(name="call API", task_run_name="{method} {api} {path}", cache_policy=NO_CACHE)
async def call_api_async(
    api: str,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    tenant: str = "default",
    quota_key: str | None = None,
    credentials: str | None = None,
    safe: bool = False,
    max_wait: float | None = None,
) -> Any:
    """As `call_api`, for async flows: waiting blocks nobody."""
    context.run_id.set(_flow_run_id())
    authorization = await anyio.to_thread.run_sync(_authorization, api, credentials)  # a block comes over the network
    sent = {**authorization, **(headers or {})}
    client = make_async_client_for(api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, headers=sent)
    async with client:
        response = await client.request(method, path, params=params, json=json, extensions={"safe": safe})
    return _content(response)


def _authorization(api: str, block: str | None) -> Mapping[str, str]:
    try:
        credential: Credential = credential_for(api, block)
    except MissingCredential:
        if api in VARIABLES:
            raise
        return {}  # an API of the user's own may need none
    return credential.headers


def _content(response: httpx.Response) -> Any:
    response.raise_for_status()
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def _flow_run_id() -> str | None:
    run_id: str | None = runtime.flow_run.id
    return run_id

"""Tasks for anyone's flow: an API called, or listed, at the rate that was learned for it.

They work in any flow, in `.map`, and with every task runner: the limiter is a row in the database, so tasks in many
threads, processes or machines that use one `AIMD_DATABASE_URL` share one rate. Throttles and faults are the limiter's
to wait for and to retry, so these tasks have no retries of their own; what is raised is final.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import anyio.to_thread
import httpx
from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from flows.credentials import client_options_for
from flows.events import emit_limiter_event
from flows.pages import iterate, iterate_async
from flows.paginators import Paginator
from flows.sources import SOURCES
from limiter import make_async_client_for, make_client_for
from limiter.redaction import leave_credentials_behind
from state import context


@task(name="call API", task_run_name="{method} {api} {path}", tags=["aimd"], retries=0, cache_policy=NO_CACHE)
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
        path: Relative to the API's base URL; `""` for Zapier, whose hook URL is the credential.
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
        Terminal: The vendor says that waiting will not help, or gives a client id and secret no token.
        httpx.HTTPStatusError: The vendor answered with an error.
        httpx.TransportError: The vendor could not be reached.

    Example:
        >>> from prefect import flow
        >>> @flow
        ... def titles(pages):
        ...     answers = call_api.map("notion", "GET", [f"/pages/{page}" for page in pages])
        ...     return [answer["properties"] for answer in answers.result()]
    """
    options = client_options_for(api, credentials, headers)
    with (
        _named_run(api),
        _errors_fit_to_keep(options),
        make_client_for(
            api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, hooks=[emit_limiter_event], **options
        ) as client,
    ):
        return _content(api, client.request(method, path, params=params, json=json, extensions={"safe": safe}))


@task(name="call API", task_run_name="{method} {api} {path}", tags=["aimd"], retries=0, cache_policy=NO_CACHE)
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
    options = await anyio.to_thread.run_sync(client_options_for, api, credentials, headers)  # a block comes over HTTP
    with _named_run(api), _errors_fit_to_keep(options):
        async with make_async_client_for(
            api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, hooks=[emit_limiter_event], **options
        ) as client:
            return _content(
                api, await client.request(method, path, params=params, json=json, extensions={"safe": safe})
            )


@task(
    name="list API", task_run_name="{method} {api} {path}, all pages", tags=["aimd"], retries=0, cache_policy=NO_CACHE
)
def paginate(
    api: str, method: str, path: str, *, paginator: Paginator | None = None, records: str = "results", **how: Any
) -> list[Any]:
    """List all records of an API as fast as it allows. For more than fits into memory, use `flows.pages.iterate`.

    Args:
        api: A preset, or a name from `AIMD_CONFIG` or `API_RATE_CONFIGS`.
        method: HTTP method.
        path: Relative to the API's base URL.
        paginator: How to ask for the next page; by default as the API's source does at this path, or with this method.
        records: The field that holds a page's records.
        **how: As for `flows.pages.iterate`: `params`, `json`, `headers`, `tenant`, `quota_key`, `credentials`, `safe`,
            `max_wait`.

    Raises:
        BadPage: An answer that is not a page, after the last try.
        TooLarge: An answer that is larger than may be held in memory.
        ListingCut: The vendor ended the listing early, or its paging goes in circles.
        httpx.HTTPError: As `call_api`.

    Example:
        >>> from prefect import flow
        >>> @flow
        ... def people():
        ...     return [user["name"] for user in paginate("notion", "GET", "/users")]
    """
    with _named_run(api), _errors_fit_to_keep():
        return list(iterate(api, method, path, paginator=paginator, records=records, **how))


@task(
    name="list API", task_run_name="{method} {api} {path}, all pages", tags=["aimd"], retries=0, cache_policy=NO_CACHE
)
async def paginate_async(
    api: str, method: str, path: str, *, paginator: Paginator | None = None, records: str = "results", **how: Any
) -> list[Any]:
    """As `paginate`, for async flows: waiting blocks nobody."""
    with _named_run(api), _errors_fit_to_keep():
        return [each async for each in iterate_async(api, method, path, paginator=paginator, records=records, **how)]


@contextmanager
def _named_run(api: str) -> Iterator[None]:
    """Let the history name the flow run, and the task run its API."""
    running = TaskRunContext.get()
    if running is not None:
        # A task's tags are fixed before its arguments are known. A run's go to the server with its next state, as
        # Prefect itself does with the name that it makes of the arguments.
        running.task_run.tags.append(f"api:{api}")
    with context.of_run(runtime.flow_run.id):
        yield


@contextmanager
def _errors_fit_to_keep(options: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """A task's error may be pickled, for another process or with the run's state; httpx's takes its request along."""
    try:
        yield
    except httpx.HTTPError as error:
        leave_credentials_behind(error, getattr(options.get("auth"), "secrets", ()))
        raise


def _content(api: str, response: httpx.Response) -> Any:
    response.raise_for_status()
    if not response.content:
        return None
    try:
        answer = response.json()
    except ValueError:
        return response.text
    if said := api in SOURCES and SOURCES[api].refuses(answer):  # Slack's errors come with status 200
        raise httpx.HTTPStatusError(f"{api} refused: {said}", request=response.request, response=response)
    return answer

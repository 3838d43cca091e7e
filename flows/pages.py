"""Listings for anyone's flow: every record of every page, one page at a time.

The order of asking, reading, asking again and going on is one generator; the two drivers perform what it yields.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from typing import Any

import anyio.to_thread
import httpx
from prefect import runtime

from flows.answer import Answer, PageRequest, at
from flows.credentials import client_options_for
from flows.errors import BadPage, ForeignLink, ListingCut
from flows.events import emit_limiter_event
from flows.paginators import Paginator
from flows.reading import strict_json
from flows.sources import SOURCES
from flows.tries import Tries
from limiter import ConfigurationError, make_async_client_for, make_client_for
from limiter.transport import origin
from state import context

Records = list[Any]
Step = PageRequest | float | Records
Came = httpx.Response | BadPage | None


def iterate(
    api: str,
    method: str,
    path: str,
    *,
    paginator: Paginator | None = None,
    records: str = "results",
    params: Mapping[str, Any] | None = None,
    json: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    tenant: str = "default",
    quota_key: str | None = None,
    credentials: str | None = None,
    safe: bool = True,
    max_wait: float | None = None,
) -> Iterator[Any]:
    """List an API's records as fast as it allows, holding one page in memory: for use within a task or a script.

    Args:
        api: A preset, or a name from `AIMD_CONFIG` or `API_RATE_CONFIGS`.
        method: HTTP method.
        path: Relative to the API's base URL.
        paginator: How to ask for the next page; by default as the API's source does with this method.
        records: Where a page has its records, as a dotted path; `""`: it is the list of them.
        params: Query of every request.
        json: JSON body of every request.
        headers: Further headers. Not for credentials: those come from the environment or a block.
        tenant: On whose behalf.
        quota_key: Whose quota; by default the tenant's.
        credentials: Name of a Prefect block with the credential, before the environment's variable.
        safe: The requests only read, whatever their method, so that a fault may be tried again.
        max_wait: Seconds that each request may wait in all; None for as long as it takes.

    Yields:
        The records in the vendor's order.

    Raises:
        ConfigurationError: An unknown API, no credential, or no way of paging known; nothing was sent.
        BadPage: An answer that is not a page, after the last try.
        ListingCut: A page points to one that came before.
        ForeignLink: A page points to another host; nothing was sent there.
        httpx.HTTPError: As `flows.tasks.call_api`.

    Example:
        >>> from prefect import task
        >>> @task
        ... def count_people():
        ...     return sum(user["type"] == "person" for user in iterate("notion", "GET", "/users"))
    """
    steps = listing(_first(method, path, params, json), paginator or paginator_for(api, method), records, safe=safe)
    options = client_options_for(api, credentials, headers)
    context.run_id.set(runtime.flow_run.id)
    with make_client_for(
        api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, hooks=[emit_limiter_event], **options
    ) as client:
        came: Came = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration:
                return
            came = None
            match step:
                case PageRequest():
                    response = client.send(_asked(client, step, safe), stream=True)
                    try:
                        response.read()
                        came = response
                    except (httpx.TransportError, httpx.DecodingError) as error:
                        came = _cut_short(error)
                    finally:
                        response.close()
                case float():
                    time.sleep(step)
                case _:
                    yield from step


async def iterate_async(
    api: str,
    method: str,
    path: str,
    *,
    paginator: Paginator | None = None,
    records: str = "results",
    params: Mapping[str, Any] | None = None,
    json: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    tenant: str = "default",
    quota_key: str | None = None,
    credentials: str | None = None,
    safe: bool = True,
    max_wait: float | None = None,
) -> AsyncIterator[Any]:
    """As `iterate`, for async flows: waiting blocks nobody."""
    steps = listing(_first(method, path, params, json), paginator or paginator_for(api, method), records, safe=safe)
    options = await anyio.to_thread.run_sync(client_options_for, api, credentials, headers)
    context.run_id.set(runtime.flow_run.id)
    async with make_async_client_for(
        api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, hooks=[emit_limiter_event], **options
    ) as client:
        came: Came = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration:
                return
            came = None
            match step:
                case PageRequest():
                    response = await client.send(_asked(client, step, safe), stream=True)
                    try:
                        await response.aread()
                        came = response
                    except (httpx.TransportError, httpx.DecodingError) as error:
                        came = _cut_short(error)
                    finally:
                        await response.aclose()
                case float():
                    await asyncio.sleep(step)
                case _:
                    for record in step:
                        yield record


def listing(
    first: PageRequest,
    paginator: Paginator,
    records: str,
    *,
    safe: bool = True,
    monotonic: Callable[[], float] = time.monotonic,
) -> Generator[Step, Came, None]:
    """All pages of a listing, as steps to perform.

    Args:
        first: The request, without paging.
        paginator: How to ask for the next page.
        records: Where a page has its records, as a dotted path; `""`: it is the list of them.
        safe: A page that is none may be asked for again.
        monotonic: Seconds of a clock that is never set.

    Yields:
        A request to send (gives the response, read, or the `BadPage` that reading it made), seconds to wait, or a
        page's records.

    Raises:
        BadPage: An answer that is not a page, after the last try.
        ListingCut: A page points to one that came before.
        httpx.HTTPStatusError: The vendor answered with an error.
    """
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        tries = Tries(
            f"{first.method} {first.path} was answered with something that is not a page",
            safe=safe,
            monotonic=monotonic,
        )
        while True:
            came = yield paginator.prepare(first, cursor)
            try:
                answer = _answer(came, records, cursor)
                cursor = paginator.next_cursor(answer)
                break
            except BadPage as error:
                yield tries.pause(error)
        yield list(answer.records)
        if cursor is None:
            return
        if cursor in seen:
            raise ListingCut(f"{first.method} {first.path}: a page points to one that came before")
        seen.add(cursor)


def paginator_for(api: str, method: str) -> Paginator:
    """How the source of an API pages with a method.

    Raises:
        ConfigurationError: That is not known.
    """
    for stream in SOURCES[api].streams if api in SOURCES else ():
        if stream.method == method.upper():
            return stream.paginator
    raise ConfigurationError(
        f"How {api} pages the answers to {method.upper()} is not known. Nothing was sent; pass paginator=, such as a "
        "flows.paginators.CursorPaginator."
    )


def _first(method: str, path: str, params: Mapping[str, Any] | None, json: Mapping[str, Any] | None) -> PageRequest:
    return PageRequest(method.upper(), path, dict(params or {}), json)


def _asked(client: httpx.Client | httpx.AsyncClient, request: PageRequest, safe: bool) -> httpx.Request:
    built = client.build_request(
        request.method,
        request.path,
        params=dict(request.query) or None,
        json=request.body,
        extensions={"safe": safe, "base_url": client.base_url},
    )
    if origin(built.url) != origin(client.base_url):
        raise ForeignLink(
            f"The next page of {request.method} {request.path} is at another host: nothing was sent there"
        )
    return built


def _cut_short(error: Exception) -> BadPage:
    return BadPage(f"the body was cut short ({type(error).__name__})")


def _answer(came: Came, records: str, cursor: str | None) -> Answer:
    if isinstance(came, BadPage):
        raise came
    assert came is not None, "a request gives something"
    came.raise_for_status()
    content = strict_json(came.content, came.headers.get("content-type", ""))
    found = at(content, records)
    if not isinstance(found, list):
        raise BadPage(f"it has no list {records!r}" if records else "it is no list")
    return Answer(content, found, came.headers, str(came.url), str(came.request.extensions["base_url"]), cursor)

"""Listings for anyone's flow: every record of every page, one page at a time.

The order of asking, reading, asking again and going on is one generator; the two drivers perform what it yields.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import anyio.to_thread
import httpx
from prefect import runtime

from flows.answer import Answer, PageRequest
from flows.credentials import client_options_for
from flows.errors import BadPage, ForeignLink, ListingCut
from flows.events import emit_limiter_event
from flows.fetch import Body, plain
from flows.listing import Met, Page, advance, read_page
from flows.paginators import Paginator
from flows.reading import strict_json
from flows.sources import SOURCES
from flows.stream import Stream
from flows.tries import Tries
from flows.windows import WindowPaginator
from limiter import ConfigurationError, make_async_client_for, make_client_for
from limiter.transport import origin
from state import context
from state.records import Listing

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
        paginator: How to ask for the next page; by default as the API's source does at this path, or with this method.
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
        The records in the vendor's order. Where a way of paging goes by windows, those at a seam come twice.

    Raises:
        ConfigurationError: An unknown API, no credential, or no way of paging known; nothing was sent.
        BadPage: An answer that is not a page, after the last try.
        TooLarge: An answer that is larger than may be held in memory.
        ListingCut: The vendor ended the listing early, or its paging goes in circles; what came before was yielded.
        ForeignLink: A page points to another host; nothing was sent there.
        httpx.HTTPError: As `flows.tasks.call_api`.

    Example:
        >>> from prefect import task
        >>> @task
        ... def count_people():
        ...     return sum(user["type"] == "person" for user in iterate("notion", "GET", "/users"))
    """
    first = PageRequest(method.upper(), path, dict(params or {}), json)
    steps = listing(api, first, _listed(api, first, paginator, records, safe=safe))
    options = client_options_for(api, credentials, headers)
    with (
        context.of_run(runtime.flow_run.id),
        make_client_for(
            api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, hooks=[emit_limiter_event], **options
        ) as client,
    ):
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
                    body = _body(step)
                    try:
                        for part in response.iter_bytes():
                            body.add(part)
                        came = _read(response, body)
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
    first = PageRequest(method.upper(), path, dict(params or {}), json)
    steps = listing(api, first, _listed(api, first, paginator, records, safe=safe))
    options = await anyio.to_thread.run_sync(client_options_for, api, credentials, headers)
    async with AsyncExitStack() as stack:
        stack.enter_context(context.of_run(runtime.flow_run.id))
        client = await stack.enter_async_context(
            make_async_client_for(
                api, tenant=tenant, quota_key=quota_key, max_wait=max_wait, hooks=[emit_limiter_event], **options
            )
        )
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
                    body = _body(step)
                    try:
                        async for part in response.aiter_bytes():
                            body.add(part)
                        came = _read(response, body)
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
    api: str, first: PageRequest, stream: Stream, *, monotonic: Callable[[], float] = time.monotonic
) -> Generator[Step, Came, None]:
    """All pages of a listing, as steps to perform; by the rules of `flows.listing`, as a sync has them.

    Args:
        api: Whose.
        first: The request, without paging.
        stream: What is listed.
        monotonic: Seconds of a clock that is never set.

    Yields:
        A request to send (gives the response, read, or the `BadPage` that reading it made), seconds to wait, or a
        page's records.

    Raises:
        BadPage: An answer that is not a page, after the last try.
        ListingCut: The vendor ended the listing early, or its paging goes in circles.
        ForeignLink: A page points to another host.
        httpx.HTTPStatusError: The vendor answered with an error.
    """
    what = f"{first.method} {first.path}"
    now, met = Listing(0.0, full=True), Met()
    while True:
        tries = Tries(f"{what} was answered with something that is not a page", safe=stream.safe, monotonic=monotonic)
        while True:
            came = yield stream.paginator.prepare(first, now.page_cursor)
            try:
                page = _page(api, stream, came, now.page_cursor)
                break
            except BadPage as error:
                yield tries.pause(error)
        yield [record for _, record in page.records]
        step = advance(stream, now, page, None, met.seen, met.empty)
        if step.broken:
            raise ListingCut(f"{api} listed only {step.listing.records:,} records of {what} and not all: {step.broken}")
        if step.ends:
            return
        met.note(page)
        now = step.listing


def stream_for(api: str, method: str, path: str) -> Stream | None:
    """What the source of an API lists at a path, or else the first that it lists with the method; None: nothing."""
    streams = SOURCES[api].streams if api in SOURCES else ()
    listed = [stream for stream in streams if stream.method == method.upper() and stream.job is None]
    path = "/" + path.partition("?")[0].lstrip("/")
    return next((stream for stream in listed if _is_at(stream, path)), listed[0] if listed else None)


def _is_at(stream: Stream, path: str) -> bool:
    pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[\w.]+\}", stream.path))
    return re.fullmatch(pattern, path) is not None


def _listed(api: str, first: PageRequest, paginator: Paginator | None, records: str, *, safe: bool) -> Stream:
    """What is listed, whose records may be anything.

    Raises:
        ConfigurationError: Nobody says how to ask for the next page; nothing was sent.
    """
    known = stream_for(api, first.method, first.path)
    if paginator is None and known is not None:
        # Windows need the order that only the source asks for; without them the end of a query is said.
        paginator = known.paginator.inner if isinstance(known.paginator, WindowPaginator) else known.paginator
    if paginator is None:
        raise ConfigurationError(
            f"How {api} pages the answers to {first.method} is not known. Nothing was sent; pass paginator=, such as a "
            "flows.paginators.CursorPaginator."
        )
    listed = Stream(first.path, first.method, first.path, paginator, records=records, primary_key=(), safe=safe)
    return replace(listed, cut=known.cut) if known else listed


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


def _body(request: PageRequest) -> Body:
    return Body(f"{request.method} {request.path} was answered")


def _read(response: httpx.Response, body: Body) -> httpx.Response:
    headers = plain(response.headers)
    return httpx.Response(response.status_code, headers=headers, content=body.content(), request=response.request)


def _page(api: str, stream: Stream, came: Came, cursor: str | None) -> Page:
    if isinstance(came, BadPage):
        raise came
    assert came is not None, "a request gives something"
    came.raise_for_status()
    content = strict_json(came.content, came.headers.get("content-type", ""))
    if said := api in SOURCES and SOURCES[api].refusal(content):  # Slack's errors come with status 200
        raise httpx.HTTPStatusError(f"{api} refused: {said}", request=came.request, response=came)
    base_url = str(came.request.extensions["base_url"])
    return read_page(stream, Answer(content, (), came.headers, str(came.url), base_url, cursor))

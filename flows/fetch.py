"""One page over the network: sent, read, and asked for again where the answer is broken."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from flows.errors import BadPage, CursorExpired, Refused
from flows.listing import Page, read_page
from flows.paginators import PageRequest
from flows.sources import Task
from limiter import AimdClient
from limiter.exchange import fault_delay, may_try_again


def fetch_page(
    client: AimdClient,
    task: Task,
    request: PageRequest,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Page:
    """Fetch a page.

    The transport has the throttles and the faults of the connection; what it cannot see, a body that is cut short, no
    JSON or not a page, is asked for again here by the same rule.

    Args:
        client: Of the task's source.
        task: What is listed.
        request: For this page.
        sleep: Waits between tries, seconds.
        monotonic: Seconds of a clock that is never set.

    Raises:
        BadPage: Still broken after the last try.
        Refused: The vendor said no.
        httpx.HTTPError: As `limiter.exchange.exchange`.
    """
    began: float | None = None
    tries = 0
    while True:
        tries += 1
        try:
            return _try(client, task, request)
        except BadPage as error:
            # Only from the first fault on: the try before it may have waited for a cooldown as long as any.
            began = monotonic() if began is None else began
            if not (task.stream.safe and may_try_again(tries, monotonic() - began)):
                title = task.source.title
                raise BadPage(
                    f"{title} answered {request.method} {request.path} with something that is not a page: {error}"
                ) from error
            sleep(fault_delay(tries))


def _try(client: AimdClient, task: Task, request: PageRequest) -> Page:
    built = client.build_request(
        request.method,
        request.path,
        params=dict(request.query) or None,
        json=request.body,
        extensions={"safe": task.stream.safe},
    )
    response = client.send(built, stream=True)
    try:
        response.read()
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise BadPage(f"the body was cut short ({type(error).__name__})") from error
    finally:
        response.close()
    if not response.is_success:
        raise _refused(task, response)
    try:
        answer = response.json()
    except ValueError as error:
        raise BadPage("it is not JSON") from error
    except RecursionError as error:
        raise BadPage("it is nested too deeply") from error
    return read_page(task.stream, answer)


def _refused(task: Task, response: httpx.Response) -> Refused:
    title, status = task.source.title, response.status_code
    if task.source.cursor_expired(response):
        return CursorExpired(f"{title} no longer accepts the page cursor of {task.stream.name}", status=status)
    if status == 401:
        return Refused(f"{title} does not accept the token (401): it is wrong or was revoked", status=status)
    said = _vendors_words(response)
    said = f": {said}" if said else ""
    did = "failed" if status >= 500 else "refused"
    return Refused(f"{title} {did} to list {task.stream.name} ({status}{said})", status=status)


def _vendors_words(response: httpx.Response) -> str:
    """What the vendor says of a refusal, on one line and not longer than a line."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return ""
    message = answer.get("message") if isinstance(answer, dict) else None
    return " ".join(message.split())[:200] if isinstance(message, str) else ""

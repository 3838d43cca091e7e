"""An export that a vendor makes while one waits: asked for, looked at when it says, then downloaded.

The answer to the first request is 202 with the job's address and, in `Retry-After`, when to look (Fieldguide: an ISO
8601 time). What is downloaded is the one record of the listing.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import httpx

from flows.answer import Answer, at
from flows.errors import BadPage
from flows.fetch import refused
from flows.links import follow
from flows.listing import Page
from flows.reading import strict_json
from flows.sources import Task
from flows.stream import Job
from limiter import AimdClient
from limiter.retry_after import parse_retry_after

LOOK_AGAIN = 10.0
"""Seconds until one looks again where the vendor does not say."""
LONGEST = 3600.0
"""Seconds that an export may take."""


def export(client: AimdClient, task: Task, job: Job, sleep: Callable[[float], None]) -> Page:
    """Have an export made; gives a page with the one record, whose file is the export.

    Args:
        client: Of the task's source.
        task: What is exported.
        job: How.
        sleep: Waits, seconds.

    Raises:
        Refused: The vendor said no.
        BadPage: It does not say where to look, or the export takes longer than `LONGEST`.
        ForeignLink: It says to look at another host.
        httpx.HTTPError: As `limiter.exchange.exchange`.
    """
    asked = task.request
    response = client.request(asked.method, asked.path, params=dict(asked.query) or None, json=asked.body)
    waited, address = 0.0, ""
    while response.status_code == 202:
        address = _location(client, response) or address
        if not address:
            raise BadPage(f"{task.source.title} began {task.what} and does not say where to look for it")
        _, now = client.limiter.store.read(client.limiter.bucket)
        pause = parse_retry_after(response.headers.get("retry-after"), now)
        pause = LOOK_AGAIN if pause is None else max(1.0, pause)
        waited += pause
        if waited > LONGEST:
            raise BadPage(f"{task.source.title} is not done with {task.what} after {LONGEST / 60:.0f} minutes")
        sleep(pause)
        response = client.get(address)
    if not response.is_success:
        raise refused(task, response)
    done = strict_json(response.content, response.headers.get("content-type", ""))
    number = at(done, job.id_field)
    link = at(done, job.link)
    if isinstance(link, str) and link:
        where = _within(client, response, link)
    elif isinstance(number, str) and number:
        where = job.result.replace("{id}", quote(number, safe=""))
    else:
        raise BadPage(f"{task.source.title} is done with {task.what} and does not say where it is")
    key = list(task.lineage.values())[-1] if task.lineage else task.stream.name
    return Page(((key, {job.id_field: key}),), (), None, files=(where,))


def _location(client: AimdClient, response: httpx.Response) -> str:
    link = response.headers.get("location", "")
    return _within(client, response, link) if link else ""


def _within(client: AimdClient, response: httpx.Response, link: str) -> str:
    return follow(link, Answer(None, url=str(response.url), base_url=str(client.base_url)))

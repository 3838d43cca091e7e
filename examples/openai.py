"""Which API keys of an OpenAI organization has nobody used for 90 days? Keys that nobody uses are to be revoked.

Async, with the client itself: `make_async_client_for` is an `httpx.AsyncClient`, here with a limit on how long a
request may wait for its turn. If that would take longer, `WaitTooLong` says when to come back.

Needs OPENAI_ADMIN_KEY. To try it without an account:

    aimd simulator --api openai --port 8080
    OPENAI_ADMIN_KEY=secret_simulator AIMD_OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python examples/openai.py
"""

import asyncio
import sys
import time
from typing import Any

from flows.credentials import client_options_for
from limiter import AsyncAimdClient, ConfigurationError, WaitTooLong, make_async_client_for

UNUSED = 90 * 86_400
"""Seconds."""


async def listed(client: AsyncAimdClient, path: str) -> list[dict[str, Any]]:
    """All records of a listing; the next page comes after the last id."""
    records: list[dict[str, Any]] = []
    query = {"limit": "100"}
    while True:
        page = (await client.get(path, params=query)).raise_for_status().json()
        records += page["data"]
        if not page["has_more"]:
            return records
        query["after"] = page["data"][-1]["id"]


async def main() -> int:
    """Print what was found, and what was learned."""
    try:
        options = client_options_for("openai")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    async with make_async_client_for("openai", max_wait=300, **options) as client:
        try:
            projects = await listed(client, "/organization/projects")
            paths = [f"/organization/projects/{project['id']}/api_keys" for project in projects]
            everywhere = await asyncio.gather(
                *(listed(client, path) for path in ("/organization/admin_api_keys", *paths))
            )
        except WaitTooLong as error:
            print(error, file=sys.stderr)
            return 75
        learned = client.limiter.snapshot()
    before = time.time() - UNUSED
    keys = [key for found in everywhere for key in found]
    unused = [key for key in keys if (key["last_used_at"] or key["created_at"]) < before]
    for key in unused:
        print(f"{key['id']} {key['name']}")  # not the redacted value: its end is part of the secret
    print(f"{len(unused)} of {len(keys)} keys were not used for 90 days")
    print(
        f"{learned['requests']} requests, {learned['throttled']} throttled, now {learned['current_rate']:.2f} a second"
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

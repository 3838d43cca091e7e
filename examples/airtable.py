"""Which rows of a compliance tracker in Airtable are late, and whose are they?

Async: the tables of all bases are listed at the same time by `iterate_async`, and the limiter decides who may ask
next. Airtable refuses everything for 30 s after one request too many, so the rate that was learned is worth keeping.

Needs AIRTABLE_TOKEN (schema.bases:read, data.records:read). To try it without an account:

    aimd simulator --api airtable --port 8080
    AIRTABLE_TOKEN=secret_simulator AIMD_AIRTABLE_BASE_URL=http://127.0.0.1:8080/v0 python examples/airtable.py
"""

import asyncio
import sys
from collections import Counter

from flows.credentials import credential_for
from flows.pages import iterate_async
from flows.paginators import Whole
from limiter import ConfigurationError, make_client_for


async def late(base: str) -> Counter[str]:
    """How many late rows each owner has in a base."""
    tables = iterate_async("airtable", "GET", f"/meta/bases/{base}/tables", records="tables", paginator=Whole())
    names = [table["id"] async for table in tables]
    return sum(await asyncio.gather(*(late_in(f"/{base}/{name}") for name in names)), Counter())


async def late_in(path: str) -> Counter[str]:
    """How many late rows each owner has in a table; an empty cell is left out of its row."""
    found: Counter[str] = Counter()
    async for row in iterate_async("airtable", "GET", path, records="records", params={"pageSize": 100}):
        if row["fields"].get("Status") == "Late":
            found[row["fields"].get("Owner", "nobody")] += 1
    return found


async def main() -> int:
    """Print what was found, and what was learned."""
    try:
        credential_for("airtable")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    bases = [base async for base in iterate_async("airtable", "GET", "/meta/bases", records="bases")]
    counted = await asyncio.gather(*(late(base["id"]) for base in bases))
    for base, owners in zip(bases, counted, strict=True):
        print(f"{base['name']}: {owners.total()} late")
        for owner, number in sorted(owners.items()):
            print(f"  {owner}: {number}")
    with make_client_for("airtable") as client:
        learned = client.limiter.snapshot()
    print(f"Airtable allows {learned['current_rate']:.2f} requests a second, as far as we know")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

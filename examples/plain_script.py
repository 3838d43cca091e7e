"""Page through Notion with httpx as you know it; the client paces itself. No Prefect, nothing but `limiter`.

Counts the people and the bots that can get into a workspace. Stop it and start it again: it begins at the rate that it
had learned, since that is kept in the database of AIMD_DATABASE_URL.

Needs NOTION_TOKEN. To try it without an account:

    aimd simulator --api notion --policy token:rate=5,burst=5 --port 8080
    NOTION_TOKEN=secret_simulator AIMD_NOTION_BASE_URL=http://127.0.0.1:8080/v1 python examples/plain_script.py
"""

import os
import sys
from collections import Counter

from limiter import make_client_for


def main() -> int:
    """Print what was found, and what was learned."""
    token = os.environ.get("NOTION_TOKEN")
    if not token:
        print("There is no token for Notion: set NOTION_TOKEN. Nothing was sent.", file=sys.stderr)
        return 2
    kinds: Counter[str] = Counter()
    query = {"page_size": "100"}
    with make_client_for("notion", headers={"Authorization": f"Bearer {token}"}) as notion:
        while True:
            page = notion.get("/users", params=query).raise_for_status().json()
            kinds.update(user["type"] for user in page["results"])
            if not page["has_more"]:
                break
            query["start_cursor"] = page["next_cursor"]
        learned = notion.limiter.snapshot()
    print(f"{kinds['person']} people and {kinds['bot']} bots")
    print(
        f"{learned['requests']} requests, {learned['throttled']} throttled, now {learned['current_rate']:.2f} a second"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

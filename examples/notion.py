"""Which Notion pages has nobody edited for a year? A policy has to be reviewed once a year (SOC 2 CC5.3).

A flow of one's own around two tasks: `paginate` lists all pages of an endpoint, `call_api` calls one. They run side by
side, and in the UI each is a task run; together they stay under one rate.

Needs NOTION_TOKEN, and a Prefect server in PREFECT_API_URL (a temporary one is started if there is none).
To try it without an account:

    aimd simulator --api notion --port 8080
    NOTION_TOKEN=secret_simulator AIMD_NOTION_BASE_URL=http://127.0.0.1:8080/v1 python examples/notion.py
"""

import sys
from datetime import UTC, datetime, timedelta

from prefect import flow

from flows.credentials import credential_for
from flows.tasks import call_api, paginate
from limiter import ConfigurationError, make_client_for

ONLY_PAGES = {"filter": {"property": "object", "value": "page"}}


@flow(name="stale policies")
def stale_policies(days: int = 365) -> tuple[str, dict[str, list[str]]]:
    """Who asked, and by author the ids of the pages that nobody has edited for so many days."""
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    users = paginate.submit("notion", "GET", "/users")
    pages = paginate.submit("notion", "POST", "/search", json=ONLY_PAGES)
    asked_as = call_api.submit("notion", "GET", "/users/me")
    names = {user["id"]: user["name"] for user in users.result()}
    found: dict[str, list[str]] = {}
    for page in pages.result():
        if page["last_edited_time"] < before:
            author = page["created_by"]["id"]
            found.setdefault(names.get(author, author), []).append(page["id"])
    return asked_as.result()["name"], found


def main() -> int:
    """Print what was found, and what was learned."""
    try:
        credential_for("notion")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    integration, found = stale_policies()
    print(f"{sum(map(len, found.values()))} pages, of those that {integration} may see, were not edited for a year")
    for name, pages in sorted(found.items()):
        print(f"{name}: {', '.join(pages)}")
    with make_client_for("notion") as client:
        learned = client.limiter.snapshot()
    print(f"Notion allows {learned['current_rate']:.2f} requests a second, as far as we know")
    return 0


if __name__ == "__main__":
    sys.exit(main())

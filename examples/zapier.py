"""A nightly flow that collects the users of Notion and tells Zapier what is new: ids, hashes and counts, no content.

A Zap that listens at the hook may open a ticket for the access review. What it is told has an `event_id`, by which it
recognizes what it has heard before.

Needs ZAPIER_HOOK_URL (the address of a Catch Hook, itself the secret) and NOTION_TOKEN, and a Prefect server in
PREFECT_API_URL (a temporary one is started if there is none). To try it without an account, set the variables that the
two simulators print:

    aimd simulator --api notion --port 8080
    aimd simulator --api zapier --port 8081
"""

import sys

from prefect import flow

from flows.credentials import credential_for
from flows.notify import notify_zapier
from flows.sync import sync
from limiter import ConfigurationError, make_client_for


@flow(name="nightly")
def nightly() -> tuple[str, str]:
    """What came of the sync, and the id of the event that Zapier was told; of a sync that failed, too."""
    ended = sync("notion", streams=["users"], return_state=True)
    return str(ended.message), notify_zapier("notion")


def main() -> int:
    """Print what was found, and what was learned."""
    try:
        credential_for("notion")
        credential_for("zapier")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    outcome, event = nightly()
    print(outcome)
    print(f"Zapier knows of it as {event}")
    for api in ("notion", "zapier"):
        with make_client_for(api) as client:
            print(f"{api} allows {client.limiter.snapshot()['current_rate']:.2f} requests a second, as far as we know")
    return 0


if __name__ == "__main__":
    sys.exit(main())

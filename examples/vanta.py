"""Which tests fail in Vanta, and on what? Collected as evidence first, then read from the store.

`sync` is the flow that `aimd sync vanta` runs: what it collects is kept by version, with a hash, so that an auditor can
see what was failing when. Run it again: what has not changed adds nothing. The client id and secret are exchanged for
Vanta's one active token, which all processes share.

Needs VANTA_CLIENT_ID and VANTA_CLIENT_SECRET, and a Prefect server in PREFECT_API_URL (a temporary one is started if
there is none). To try it without an account, set the variables that the simulator prints:

    aimd simulator --api vanta --port 8080
"""

import json
import sys
from collections import Counter
from typing import Any

from flows.credentials import credential_for
from flows.sync import sync
from limiter import ConfigurationError, make_client_for
from state.records import Collection
from state.store import shared_store


def main() -> int:
    """Print what was found, and what was learned."""
    try:
        credential_for("vanta")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    ended = sync("vanta", streams=["tests", "test_entities"], return_state=True)
    print(ended.message)
    failing = Counter(partition["tests"] for partition, _ in current("test_entities"))
    for _, test in current("tests"):
        if test["status"] == "NEEDS_ATTENTION":
            due = test["remediationStatusInfo"]["soonestRemediateByDate"]
            print(f"{test['id']}: {failing[test['id']]} failing, to be mended by {due}")
    with make_client_for("vanta") as client:
        learned = client.limiter.snapshot()
    print(f"Vanta allows {learned['current_rate']:.2f} requests a second, as far as we know")
    return 0 if ended.is_completed() else 1


def current(stream: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of which parent each record of a stream is, and the record, as last collected."""
    found = shared_store().evidence.current(Collection("vanta", stream))
    return [
        (json.loads(each.collection.partition or "{}"), json.loads(each.text or "{}"))
        for each in found
        if not each.deleted
    ]


if __name__ == "__main__":
    sys.exit(main())

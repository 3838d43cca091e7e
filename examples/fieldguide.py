"""What do the auditors still wait for? Open requests of each Fieldguide engagement, the first due first.

`paginate.map` lists the requests of all engagements side by side, each in a Prefect task that the UI shows; Fieldguide
pages by links, which the source knows. Nobody has published Fieldguide's limits: they are learned.

Needs FIELDGUIDE_TOKEN, and a Prefect server in PREFECT_API_URL (a temporary one is started if there is none).
To try it without an account:

    aimd simulator --api fieldguide --port 8080
    FIELDGUIDE_TOKEN=secret_simulator AIMD_FIELDGUIDE_BASE_URL=http://127.0.0.1:8080 python examples/fieldguide.py
"""

import sys
from typing import Any

from prefect import flow

from flows.credentials import credential_for
from flows.tasks import paginate
from limiter import ConfigurationError, make_client_for


@flow(name="open requests")
def open_requests() -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each engagement that is not over, with its requests that are not complete."""
    engagements = paginate("fieldguide", "GET", "/v1/engagements", records="data")
    going = [each for each in engagements if each["status"] not in ("Complete", "Archived")]
    paths = [f"/v1/engagements/{each['uuid']}/requests" for each in going]
    requests = paginate.map("fieldguide", "GET", paths, records="data").result()
    waiting = [[each for each in listed if each["status"] != "Complete"] for listed in requests]
    return list(zip(going, waiting, strict=True))


def main() -> int:
    """Print what was found, and what was learned."""
    try:
        credential_for("fieldguide")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    for engagement, requests in open_requests():
        print(f"{engagement['identifier']} {engagement['name']}: {len(requests)} open")
        for request in sorted(requests, key=lambda each: each["due_date"]):
            print(f"  {request['due_date']} {request['identifier']} {request['title']} ({request['status']})")
    with make_client_for("fieldguide") as client:
        learned = client.limiter.snapshot()
    print(f"Fieldguide allows {learned['current_rate']:.2f} requests a second, as far as we know")
    return 0


if __name__ == "__main__":
    sys.exit(main())

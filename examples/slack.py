"""An access review of a Slack workspace, as a CSV file for the reviewer to sign.

Everyone who is in, with what matters to the reviewer: an administrator, a guest, an account without two factors.
`iterate` holds one page in memory at a time, so the file is written while the listing goes on; it needs no flow.

Needs SLACK_TOKEN (users:read, users:read.email). To try it without an account:

    aimd simulator --api slack --port 8080
    SLACK_TOKEN=secret_simulator AIMD_SLACK_BASE_URL=http://127.0.0.1:8080/api python examples/slack.py > review.csv
"""

import csv
import sys

from flows.credentials import credential_for
from flows.pages import iterate
from limiter import ConfigurationError, make_client_for


def main() -> int:
    """Write the review to stdout, and what was learned to stderr."""
    try:
        credential_for("slack")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    review = csv.writer(sys.stdout)
    review.writerow(("id", "name", "email", "role", "two factors", "keep?"))
    for user in iterate("slack", "GET", "/users.list", records="members", params={"limit": 200}):
        if user["deleted"] or user["is_bot"]:
            continue
        role = "admin" if user["is_admin"] else "guest" if user["is_restricted"] else "member"
        factors = "yes" if user["has_2fa"] else "NO"
        review.writerow((user["id"], user["real_name"], user["profile"]["email"], role, factors, ""))
    with make_client_for("slack") as client:
        learned = client.limiter.snapshot()
    print(f"Slack allows {learned['current_rate']:.2f} requests a second, as far as we know", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

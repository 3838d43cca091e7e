"""Watch the limiter: its log lines, Prometheus metrics, and what the database keeps of it.

Every limiter writes to the log `limiter`: a warning for each backoff, with the figures as `extra` for a log collector.
A hook hears of each change after it is kept; `PrometheusHook` makes metrics of them. In a service they are served with
`prometheus_client.start_http_server(9000)`; here they are printed. docs/hooks.md has the other kinds of hook.

Needs NOTION_TOKEN. To try it without an account, with a limit that is soon met:

    aimd simulator --api notion --policy token:rate=5,burst=1 --port 8080
    NOTION_TOKEN=secret_simulator AIMD_NOTION_BASE_URL=http://127.0.0.1:8080/v1 python examples/logging_and_metrics.py
"""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, generate_latest

from flows.credentials import client_options_for
from limiter import ConfigurationError, make_client_for
from limiter.metrics import PrometheusHook


def main() -> int:
    """Print what was heard, and what was learned."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every request with its address
    try:
        options = client_options_for("notion")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    registry = CollectorRegistry()
    hooks = [PrometheusHook(registry)]
    with make_client_for("notion", hooks=hooks, **options) as notion, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: notion.get("/users/me"), range(12)))
        learned = notion.limiter.snapshot()
        history = notion.limiter.store.history(notion.limiter.bucket, limit=100)
    print(f"{sum(answer.is_success for answer in answers)} of {len(answers)} requests succeeded")
    for line in generate_latest(registry).decode().splitlines():
        if line.startswith("aimd_") and "_created" not in line:
            print(line)
    print(
        f"{learned['requests']} requests, {learned['throttled']} throttled, now {learned['current_rate']:.2f} a second"
    )
    print(f"{len(history)} changes are in the database; `aimd limiter history notion` draws them")
    return 0


if __name__ == "__main__":
    sys.exit(main())

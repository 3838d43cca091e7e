"""Watch the limiter: its log lines, a hook that counts, and what the database keeps of it.

Every limiter writes to the log `limiter`: a warning for each backoff, with the figures as `extra` for a log collector.
A hook is anything that can be called with a `LimiterEvent`; it hears of each change after it is kept. It may be called
from several threads at once, so this one counts under a lock.

Needs NOTION_TOKEN. To try it without an account, with a limit that is soon met:

    aimd simulator --api notion --policy token:rate=5,burst=1 --port 8080
    NOTION_TOKEN=secret_simulator AIMD_NOTION_BASE_URL=http://127.0.0.1:8080/v1 python examples/logging_and_metrics.py
"""

import logging
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from flows.credentials import client_options_for
from limiter import ConfigurationError, LimiterEvent, make_client_for


class Counts:
    """How often each kind of change happened, and the longest time that nobody could send, in seconds."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.longest = 0.0
        self._lock = threading.Lock()

    def __call__(self, happened: LimiterEvent, /) -> None:
        """Count it."""
        with self._lock:
            self.kinds[happened.kind] += 1
            self.longest = max(self.longest, happened.hold)


def main() -> int:
    """Print what was heard, and what was learned."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every request with its address
    try:
        options = client_options_for("notion")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    counts = Counts()
    with make_client_for("notion", hooks=[counts], **options) as notion, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: notion.get("/users/me"), range(12)))
        learned = notion.limiter.snapshot()
        history = notion.limiter.store.history(notion.limiter.bucket, limit=100)
    print(f"{sum(answer.is_success for answer in answers)} of {len(answers)} requests succeeded")
    for kind, number in sorted(counts.kinds.items()):
        print(f"aimd_limiter_events_total{{kind={kind!r}}} {number}")
    print(f"the longest hold was {counts.longest:.0f} s")
    print(
        f"{learned['requests']} requests, {learned['throttled']} throttled, now {learned['current_rate']:.2f} a second"
    )
    print(f"{len(history)} changes are in the database; `aimd limiter history notion` draws them")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One sync flow in a process of its own, and what it cost that process.

`python -m benchmarks.measured_sync ARGUMENTS`, those of `flows.sync.sync` as JSON, prints a `Cost` as JSON.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

_BEGAN = time.monotonic()


@dataclass(frozen=True)
class Cost:
    """Of a sync. Processor time is that of all threads of the process, Prefect's client included.

    Attributes:
        pages: Stored.
        records: On them.
        complete: Whether everything was collected.
        starting: From the start of the process to the first page in the store, seconds.
        starting_cpu: Processor time of that, seconds.
        seconds: From the first page in the store to the last.
        running: From the first page in the store to the end of the flow run, seconds.
        cpu: Processor time of that, seconds.
        megabytes: The most memory that the process held.
    """

    pages: int
    records: int
    complete: bool
    starting: float
    starting_cpu: float
    seconds: float
    running: float
    cpu: float
    megabytes: float

    @property
    def records_a_second(self) -> float:
        """Between the first page and the last, that is without the first."""
        return self.records * (self.pages - 1) / self.pages / self.seconds


def measured_sync(environment: Mapping[str, str], **arguments: Any) -> Cost:
    """Run a sync and return what it cost.

    Args:
        environment: Of the process.
        arguments: Of the flow; the source is Notion.

    Raises:
        subprocess.CalledProcessError: It failed; what it said is on standard error.
    """
    command = [sys.executable, "-m", __name__, json.dumps(arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(done.stdout))


def _main() -> None:
    from flows.environment import be_quiet

    be_quiet()
    from flows.outcome import Chunk, SyncReport
    from flows.progress import Listener, listener
    from flows.sync import reported, sync

    class Clock(Listener):
        """Notes when pages are stored, in seconds and in seconds of processor time."""

        first: tuple[float, float] | None = None
        last = 0.0

        def page(self, stream: str, chunk: Chunk, rate: Callable[[], float]) -> None:  # noqa: ARG002
            self.last = time.monotonic()
            self.first = self.first or (self.last, time.process_time())

    clock, reports = Clock(), list[SyncReport]()
    listener.set(clock)
    reported.set(reports.append)
    sync("notion", **json.loads(sys.argv[1]), return_state=True)
    ended, cpu = time.monotonic(), time.process_time()
    counts, first = reports[0].counts, clock.first or (ended, cpu)
    cost = Cost(
        pages=counts.pages,
        records=counts.records,
        complete=reports[0].complete,
        starting=first[0] - _BEGAN,
        starting_cpu=first[1],
        seconds=clock.last - first[0],
        running=ended - first[0],
        cpu=cpu - first[1],
        megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # KiB on Linux
    )
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    _main()

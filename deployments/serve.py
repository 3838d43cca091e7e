"""Every deployment in one process, without a worker: `python deployments/serve.py`.

The schedules run while this process does, but for those that prefect.yaml pauses; it pauses all when it ends (Ctrl-C).
A run in a long cooldown gives its process back and begins again here, as under a worker.
"""

from pathlib import Path

import typer
from prefect import serve

from flows.cli.output import friendly
from flows.configured_server import needed_server
from flows.deploying import described

FILE = Path(__file__).with_name("prefect.yaml")


def main() -> None:
    """Serve every deployment of prefect.yaml until Ctrl-C."""
    with friendly():
        needed_server("Serving")
        serve(*described(FILE))


if __name__ == "__main__":
    typer.run(main)

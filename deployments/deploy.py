"""Make every deployment of prefect.yaml, and the work pools they ask for: `make deploy`.

`prefect deploy` does the work; this looks first whether it can, and says in a sentence why not.
"""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import typer
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from flows.cli.output import fail, friendly
from flows.configured_server import needed_server
from flows.deploying import described, work_pools

FILE = Path(__file__).with_name("prefect.yaml").resolve()
ROOT = FILE.parent.parent


def main() -> None:
    """Make every deployment of prefect.yaml; the exit code is 2 if nothing was attempted."""
    with friendly():
        url = needed_server("Deploying")
        described(FILE)
        try:
            _make_pools()
        except httpx.HTTPError as error:
            fail(f"The Prefect server at {url} made no work pool ({type(error).__name__}). Nothing was deployed.")
    deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", str(FILE.relative_to(ROOT))]
    # prefect.yaml takes the folder of the code from PWD, which a shell sets and `cwd` does not.
    environment = {**os.environ, "PWD": str(ROOT)}
    raise typer.Exit(subprocess.call([sys.executable, "-m", "prefect", *deploy], cwd=ROOT, env=environment))


def _make_pools() -> None:
    with get_client(sync_client=True) as client:
        for name in sorted(work_pools(FILE)):
            try:
                client.read_work_pool(name)
            except ObjectNotFound:
                client.create_work_pool(WorkPoolCreate(name=name, type="process"))


if __name__ == "__main__":
    typer.run(main)

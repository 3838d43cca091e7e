"""Make every deployment of prefect.yaml, and the work pools they ask for: `make deploy`.

`prefect deploy` does the work; this looks first whether it can, and says in a sentence why not.
"""

import os
import subprocess
import sys
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from flows.cli.output import Exit, say
from flows.deploying import described, work_pools
from limiter import ConfigurationError

FILE = Path(__file__).with_name("prefect.yaml").resolve()
ROOT = FILE.parent.parent


def main() -> int:
    """Deploy; the exit code is 2 if nothing was attempted."""
    url = get_current_settings().api.url
    if not url:
        say(
            "Deploying needs a Prefect server, and none is configured. Start one (`prefect server start`) and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api. Nothing was deployed."
        )
        return Exit.USAGE
    try:
        described(FILE)
        with get_client(sync_client=True) as client:
            for name in sorted(work_pools(FILE)):
                try:
                    client.read_work_pool(name)
                except ObjectNotFound:
                    client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    except ConfigurationError as error:
        say(str(error))
        return Exit.USAGE
    except httpx.HTTPError as error:
        say(f"The Prefect server at {url} does not answer ({type(error).__name__}). Nothing was deployed.")
        return Exit.USAGE
    deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", str(FILE.relative_to(ROOT))]
    # prefect.yaml takes the folder of the code from PWD, which a shell sets and `cwd` does not.
    return subprocess.call([sys.executable, "-m", "prefect", *deploy], cwd=ROOT, env={**os.environ, "PWD": str(ROOT)})


if __name__ == "__main__":
    sys.exit(main())

"""Every deployment in one process, without a worker: `python deployments/serve.py`.

The schedules run while this process does; it pauses them when it ends (Ctrl-C). A run in a long cooldown gives its
process back and begins again here, as under a worker.
"""

import sys
from pathlib import Path

from prefect import serve
from prefect.settings import get_current_settings

from flows.cli.output import Exit, say
from flows.deploying import described
from limiter import ConfigurationError

FILE = Path(__file__).with_name("prefect.yaml")

if __name__ == "__main__":
    if not get_current_settings().api.url:
        say(
            "Serving needs a Prefect server, and none is configured. Start one (`prefect server start`) and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api."
        )
        sys.exit(Exit.USAGE)
    try:
        deployments = described(FILE)
    except ConfigurationError as error:
        say(str(error))
        sys.exit(Exit.USAGE)
    serve(*deployments)

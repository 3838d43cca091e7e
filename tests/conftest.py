"""Before any test: nothing of the user's own configuration, databases or Prefect, and no reports to anyone."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

for _name in list(os.environ):
    if _name.startswith(("AIMD_", "PREFECT_")) or _name.endswith("_TOKEN"):
        del os.environ[_name]
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
for _name in ("PREFECT_HOME", "XDG_DATA_HOME"):
    os.environ[_name] = tempfile.mkdtemp(prefix="aimd-tests-")
    atexit.register(shutil.rmtree, os.environ[_name], ignore_errors=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server, one a session: it takes ten seconds to start."""
    from flows.prefect_server import prefect_server  # not before the environment is clean

    folder = tmp_path_factory.mktemp("prefect")
    # Look for new schedules every few seconds, not every minute, and do not plan a hundred nights of each deployment.
    for name, value in {"LOOP_SECONDS": "3", "MIN_RUNS": "1", "MAX_RUNS": "2"}.items():
        os.environ[f"PREFECT_SERVER_SERVICES_SCHEDULER_{name}"] = value
    with prefect_server(folder / "home", log=folder / "server.log") as running:
        yield running.address

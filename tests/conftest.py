"""Before any test: nothing of the user's own configuration, databases or Prefect, and no reports to anyone."""

import os
import tempfile

for _name in list(os.environ):
    if _name.startswith(("AIMD_", "PREFECT_")) or _name.endswith("_TOKEN"):
        del os.environ[_name]
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="aimd-tests-prefect-")
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="aimd-tests-data-")

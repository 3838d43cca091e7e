"""Before any test: nothing of the user's own configuration, databases or Prefect, and no reports to anyone."""

import atexit
import os
import shutil
import tempfile

for _name in list(os.environ):
    if _name.startswith(("AIMD_", "PREFECT_")) or _name.endswith("_TOKEN"):
        del os.environ[_name]
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
for _name in ("PREFECT_HOME", "XDG_DATA_HOME"):
    os.environ[_name] = tempfile.mkdtemp(prefix="aimd-tests-")
    atexit.register(shutil.rmtree, os.environ[_name], ignore_errors=True)

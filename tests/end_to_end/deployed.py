"""The deployments of this repository on a real server, and processes that run them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.prefect_server import environment
from simulator import Simulator
from simulator.server import DEFAULT_TOKEN
from tests.end_to_end.waiting import wait_for

ROOT = Path(__file__).parents[2]
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Deployed:
    """The deployment of a source on a server.

    Attributes:
        api: The server's API.
        folder: Of the databases and logs.
        environment: Of everything that is started.
        source: Which deployment.
    """

    api: str
    folder: Path
    environment: dict[str, str]
    source: str = "notion"

    @property
    def database(self) -> Path:
        return self.folder / "aimd.db"

    @property
    def deployment(self) -> dict[str, Any]:
        return httpx.get(f"{self.api}/deployments/name/sync/{self.source}").raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(f"{self.api}{path}", json=body, timeout=30)
        while answer.status_code == 503:  # Prefect's SQLite was locked for too long
            answer = httpx.post(f"{self.api}{path}", json=body, timeout=30)
        return answer.raise_for_status().json()

    def deploy(self) -> subprocess.CompletedProcess[str]:
        """What `make deploy` does."""
        return subprocess.run(
            [sys.executable, "deployments/deploy.py"], cwd=ROOT, env=self.environment, capture_output=True, text=True
        )

    def start_run(self, variables: dict[str, str] | None = None, **parameters: Any) -> str:
        """The id of a run that may begin now; environment variables of its own need a worker."""
        body: dict[str, Any] = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        if variables:
            body["job_variables"] = {"env": variables}
        return self.post(f"/deployments/{self.deployment['id']}/create_flow_run", body)["id"]

    def run(self, run: str) -> dict[str, Any]:
        return httpx.get(f"{self.api}/flow_runs/{run}", timeout=30).raise_for_status().json()

    def states(self, run: str) -> list[dict[str, Any]]:
        return httpx.get(f"{self.api}/flow_run_states/", params={"flow_run_id": run}).raise_for_status().json()

    def wait(self, run: str, *names: str, patience: float = 90.0) -> dict[str, Any]:
        """The run once its state has one of these names; fail if it ends in another, or after so many seconds."""
        found: dict[str, Any] = {}

        def arrived() -> bool:
            nonlocal found
            found = self.run(run)
            return found["state"]["name"] in names or found["state"]["type"] in FINAL

        wait_for(arrived, patience, lambda: f"{found['state']}, {self.logs()}")
        assert found["state"]["name"] in names, f"{found['state']}, {self.logs()}"
        return found

    def logs(self) -> str:
        return "\n".join(log.read_text()[-3000:] for log in self.folder.glob("*.log"))

    @contextlib.contextmanager
    def process(self, name: str, *command: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Something of Prefect's that runs flows, stopped at the end."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT if name == "serve" else self.folder,
                env={**self.environment, **more},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if process.poll() is None:
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=20)

    def worker(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return self.process("worker", "-m", "prefect", "worker", "start", "--pool", "aimd", "--type", "process")

    def serve(self, **more: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return self.process("serve", "deployments/serve.py", **more)


def deployed_on(server: str, folder: Path, vendor: Simulator) -> Deployed:
    """The environment of everything that is started against a server and a vendor."""
    variables = {
        **environment(folder / "prefect"),
        "PREFECT_API_URL": f"{server}/api",
        "AIMD_DATABASE_URL": f"sqlite:///{folder / 'aimd.db'}",
        "AIMD_NOTION_BASE_URL": vendor.base_url,
        "NOTION_TOKEN": DEFAULT_TOKEN,
        # Look for runs often, and not far ahead: a test waits for what comes of it.
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }
    return Deployed(f"{server}/api", folder, variables)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

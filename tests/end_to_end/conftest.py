"""Real parts only: a Prefect server, the simulator on a socket, and `aimd` in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator import Simulator, World
from simulator.server import DEFAULT_TOKEN


@pytest.fixture
def world() -> World:
    return World(seed=3, users=150, pages=230, data_sources=2, rows=120)


@pytest.fixture
def vendor(world: World) -> Iterator[Simulator]:
    """Notion with a limit that nobody meets; a test that wants one sets it."""
    with Simulator("none", world, latency=(0.0, 0.01)) as simulator:
        yield simulator


@dataclass(frozen=True)
class Aimd:
    """Runs `aimd` with an environment of its own."""

    environment: dict[str, str]

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, Any, str]:
        """Exit code, JSON of stdout, stderr."""
        process = self.start(*arguments, **more)
        output, errors = process.communicate(timeout=120)
        return process.returncode, json.loads(output) if output.strip() else None, errors


@pytest.fixture
def make_aimd(vendor: Simulator, tmp_path: Path) -> Callable[[str | None], Aimd]:
    """`aimd` on a database of this test, with a Prefect server or without one."""

    def make(server: str | None) -> Aimd:
        environment = {
            **os.environ,
            "AIMD_DATABASE_URL": f"sqlite:///{tmp_path / 'aimd.db'}",
            "AIMD_NOTION_BASE_URL": vendor.base_url,
            "NOTION_TOKEN": DEFAULT_TOKEN,
        }
        if server is not None:
            environment["PREFECT_API_URL"] = f"{server}/api"
        return Aimd(environment)

    return make


@pytest.fixture
def aimd(make_aimd: Callable[[str | None], Aimd], server: str) -> Aimd:
    return make_aimd(server)

"""Databases that processes share, of both kinds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_postgres


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Where a PostgreSQL is: the one that is given, or else our own."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    with real_postgres.started() as server:
        yield server.url


@pytest.fixture(params=["sqlite-file", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite-file":
        yield f"sqlite:///{tmp_path / 'aimd.db'}"
        return
    with real_postgres.own_schema(request.getfixturevalue("server_url")) as url:
        yield url

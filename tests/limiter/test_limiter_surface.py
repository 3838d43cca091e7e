"""What others may rely on: the exports of the packages, their documentation, and the examples in it, which run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import limiter
import simulator
import state


def modules(package: ModuleType) -> list[str]:
    found = [name for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [package.__name__, *(name for name in found if ".migrations" not in name)]


MODULES = [name for package in (limiter, state, simulator) for name in modules(package)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_documentation_are_true(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), raise_on_error=False, report=True)
    assert results.failed == 0


def test_there_are_examples_where_one_looks_first() -> None:
    finder = doctest.DocTestFinder()
    places = [limiter, limiter.make_client_for, limiter.AimdTransport, limiter.ApiRateConfig, limiter.Limiter.snapshot]
    places += [importlib.import_module("limiter.testing"), importlib.import_module("limiter.retry_after")]
    for place in places:
        assert any(test.examples for test in finder.find(place, getattr(place, "__name__", ""))), place


FIXED = [
    "make_client_for",
    "make_async_client_for",
    "make_client_from_config",
    "ApiRateConfig",
    "API_RATE_CONFIGS",
    "AimdTransport",
    "AsyncAimdTransport",
]


def test_limiter_exports_what_the_design_fixes() -> None:
    assert {*FIXED} <= {*limiter.__all__}
    for name in limiter.__all__:
        assert hasattr(limiter, name)
    public = {
        name
        for name, value in vars(limiter).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "DISTRIBUTION"
    }
    assert public == {*limiter.__all__}, "what is there is exported, and nothing else is there"


def test_state_exports_what_the_design_fixes() -> None:
    assert {"open_store", "Store", "Bucket", "LimiterState", "HistoryEvent", "Decision"} <= {*state.__all__}
    for name in state.__all__:
        assert getattr(state, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'open_shop'"):
        state.open_shop  # noqa: B018


def test_the_arguments_are_the_designs() -> None:
    shared = ["tenant", "quota_key", "store", "base_url", "max_retries", "backoff_status_codes"]
    shared += ["max_wait", "deadline", "hooks"]
    for make, first in [
        (limiter.make_client_for, "name"),
        (limiter.make_async_client_for, "name"),
        (limiter.make_client_from_config, "config"),
    ]:
        parameters = inspect.signature(make).parameters
        assert [*parameters] == [first, *shared, "httpx_kwargs"]
        assert parameters["max_retries"].default == 20
        assert parameters["backoff_status_codes"].default == (429, 529)
        assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in shared)


def undocumented(name: str) -> list[str]:
    """Public classes, functions and methods of a module without a docstring."""
    source = inspect.getsource(importlib.import_module(name))

    def walk(node: ast.AST, where: str) -> list[str]:
        missing = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if child.name.startswith("_"):
                    continue
                if not ast.get_docstring(child):
                    missing.append(f"{where}.{child.name}")
                if isinstance(child, ast.ClassDef):
                    missing += walk(child, f"{where}.{child.name}")
        return missing

    tree = ast.parse(source)
    return ([] if ast.get_docstring(tree) else [name]) + walk(tree, name)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("simulator")])
def test_every_public_name_is_documented(name: str) -> None:
    assert undocumented(name) == []


def test_the_core_needs_neither_database_nor_network() -> None:
    """`import limiter.aimd` through the packages loads no SQLAlchemy by itself: `state` is light."""
    code = (
        "import state, state.records, sys; print([m for m in ('sqlalchemy', 'httpx', 'prefect') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_limiter_never_loads_prefect() -> None:
    code = (
        "import limiter, state.sql, sys; print([m for m in sys.modules if m.split('.')[0] in ('prefect', 'simulator')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

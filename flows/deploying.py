"""The deployments as `deployments/prefect.yaml` describes them: the one list that workers and `serve` both go by."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.sources import plan, source_named
from limiter import ConfigurationError


def described(file: Path) -> list[RunnerDeployment]:
    """The deployments of a file, without their work pools: as `prefect.serve` takes them.

    Args:
        file: As `prefect deploy` reads it.

    Raises:
        ConfigurationError: It cannot be read, or a deployment of it cannot work. Some of these `prefect deploy` would
            take, such as a parameter that the flow does not; the runs would crash.
    """
    made = []
    for asked in _read(file):
        try:
            made.append(_deployment(asked))
        except Exception as error:  # whatever a hand-written line, or the module that it names, makes Prefect raise
            raise ConfigurationError(
                f"{file}: the deployment {asked.get('name')!r} cannot work: {_reason(error)}. Nothing was deployed."
            ) from error
    return made


def work_pools(file: Path) -> set[str]:
    """Names of the work pools that the deployments of a file ask for.

    Raises:
        ConfigurationError: It cannot be read.
    """
    pools = [each.get("work_pool") for each in _read(file)]
    return {pool["name"] for pool in pools if isinstance(pool, dict) and pool.get("name")}


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        deployments: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["deployments"]
        if not isinstance(deployments, list) or not all(isinstance(each, dict) for each in deployments):
            raise TypeError("'deployments' is no list of them")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{file} does not describe deployments: {error!r}. Nothing was deployed.") from error
    return deployments


def _deployment(asked: Mapping[str, Any]) -> RunnerDeployment:
    flow: Flow[..., Any] = load_flow_from_entrypoint(asked["entrypoint"], use_placeholder_flow=False)
    # What is left empty in YAML is None, and means what is left out.
    parameters, schedules = asked.get("parameters") or {}, asked.get("schedules") or []
    limit = asked.get("concurrency_limit")
    _check(flow, parameters)
    made = flow.to_deployment(
        asked["name"],
        description=asked.get("description"),
        tags=asked.get("tags"),
        parameters=parameters,
        schedules=[Schedule(**schedule) for schedule in schedules],
        paused=asked.get("paused"),
        concurrency_limit=ConcurrencyLimitConfig(**limit) if isinstance(limit, dict) else limit,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(made, RunnerDeployment), "called where no loop runs"
    # Said and not left out: a deployment that a worker had before would stay the worker's.
    made.work_pool_name = made.work_queue_name = None
    return made


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, ValidationError):
        said = [(".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors()]
        return "; ".join(f"{place}: {message}" for place, message in said)
    return " ".join(str(error).split()).removesuffix(".")


def _check(flow: Flow[..., Any], parameters: Mapping[str, Any]) -> None:
    log = logging.getLogger("prefect.flows")
    before, log.disabled = log.disabled, True  # it prints what it raises
    try:
        whole = flow.validate_parameters(dict(parameters))
    finally:
        log.disabled = before
    if flow.name == "sync":
        plan(source_named(whole["source"]), whole["streams"], whole["tenant"], whole["params"])

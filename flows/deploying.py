"""The deployments as `deployments/prefect.yaml` describes them: the one list that workers and `serve` both go by."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ParameterTypeError, SignatureMismatchError
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType

from flows.sources import plan, source_named
from limiter import ConfigurationError


def described(file: Path) -> list[RunnerDeployment]:
    """The deployments of a file, without their work pools: as `prefect.serve` takes them.

    Args:
        file: As `prefect deploy` reads it.

    Raises:
        ConfigurationError: It cannot be read, or a deployment is given what its flow does not take. `prefect deploy`
            would take it, and its runs would crash.
    """
    return [_deployment(each) for each in _read(file)]


def work_pools(file: Path) -> set[str]:
    """Names of the work pools that the deployments of a file ask for.

    Raises:
        ConfigurationError: It cannot be read.
    """
    return {each["work_pool"]["name"] for each in _read(file) if "work_pool" in each}


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        deployments: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["deployments"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{file} does not describe deployments: {error!r}. Nothing was deployed.") from error
    return deployments


def _deployment(asked: Mapping[str, Any]) -> RunnerDeployment:
    flow: Flow[..., Any] = load_flow_from_entrypoint(asked["entrypoint"], use_placeholder_flow=False)
    parameters = asked.get("parameters", {})
    try:
        _check(flow, parameters)
    except (ParameterTypeError, SignatureMismatchError, ConfigurationError) as error:
        raise ConfigurationError(f"The deployment {asked['name']!r} cannot work: {error}") from None
    limit = asked.get("concurrency_limit")
    made = flow.to_deployment(
        asked["name"],
        description=asked.get("description"),
        tags=asked.get("tags"),
        parameters=parameters,
        schedules=[Schedule(**schedule) for schedule in asked.get("schedules", [])],
        concurrency_limit=ConcurrencyLimitConfig(**limit) if isinstance(limit, dict) else limit,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(made, RunnerDeployment), "called where no loop runs"
    # Said and not left out: a deployment that a worker had before would stay the worker's.
    made.work_pool_name = made.work_queue_name = None
    return made


def _check(flow: Flow[..., Any], parameters: Mapping[str, Any]) -> None:
    log = logging.getLogger("prefect.flows")
    before, log.disabled = log.disabled, True  # it prints what it raises
    try:
        whole = flow.validate_parameters(dict(parameters))
    finally:
        log.disabled = before
    if flow.name == "sync":
        plan(source_named(whole["source"]), whole["streams"], whole["tenant"], whole["params"])

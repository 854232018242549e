"""Shared code of the shipped components: run modes, options, and the choice of a node's agent."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import quoted
from parallelm.mlops.stats._values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


class RunModes(StrEnum):
    """How a component runs: as plain Python, or on Spark."""

    PYTHON = "python"
    PYSPARK = "pyspark"


@contextmanager
def running(mode: RunModes | str, name: str) -> Iterator[None]:
    """``mlops`` between ``init`` and ``done``, unless it is open already; on a Spark context in mode PySpark."""
    if mlops.init_called:
        yield
        return
    context = _spark_context(name) if mode_of(mode) is RunModes.PYSPARK else None
    mlops.init(context)
    try:
        yield
    finally:
        mlops.done()
        if context is not None:
            context.stop()


def mode_of(mode: RunModes | str) -> RunModes:
    """The mode with this name; raises ``MLOpsException`` for others."""
    try:
        return RunModes(mode)
    except Exception:  # noqa: BLE001 - a mode may be anything
        raise MLOpsException(f"unknown run mode {quoted(mode)}; known modes: {', '.join(RunModes)}") from None


def _spark_context(name: str) -> Any:
    try:
        from pyspark import SparkContext  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MLOpsException(f"mode pyspark needs pyspark: {error}") from error
    return SparkContext(appName=name)


def option(options: Any, name: str, default: Any = None) -> Any:
    """One of a component's options; the default if it is missing or empty."""
    value = getattr(options, name, None)
    return default if value is None or value == "" else value


def percent(options: Any, name: str, default: float) -> float:
    """A numeric option; raises ``MLOpsException`` if it is not a number."""
    value = option(options, name, default)
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - an option may be anything
        raise MLOpsException(f"option {name} must be a percentage, not {quoted(value)}") from None


def node_of(options: Any, which: str) -> str:
    """The node that an option names; raises ``MLOpsException`` if the option is missing."""
    node = option(options, f"node{which}")
    if node is None:
        raise MLOpsException(f"option node{which} must name a node of the MLApp")
    return shown(node, f"option node{which}")


def latest(name: str, node: str, agent: str | None, start: datetime, end: datetime) -> Any:
    """The last report of a statistic by a node's agent, as a row of its frame; None when there is none."""
    agent_id = _get_agent_id(node, agent)
    if agent_id is None:
        known = ", ".join(candidate.hostname for candidate in mlops.get_agents(node)) or "none"
        raise MLOpsException(f"node {quoted(node)} has no agent {agent or ''}; its agents: {known}")
    frame = mlops.get_stats(name, node, agent_id, start, end)
    return None if frame is None or frame.empty else frame.sort_values("time", kind="stable").iloc[-1]


def _get_agent_id(node: str, agent: str | None = None) -> str | None:
    """Id of the node's agent with this id or host name, by default of its first agent; None if there is none."""
    for candidate in mlops.get_agents(node):
        if agent is None or agent in {candidate.id, candidate.hostname}:
            return candidate.id
    return None

"""Pipeline instances by their ids: those that agents run, and for every other node ``<mlapp>.<node>``."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import Request

from parallelm.server.access.principal import Principal
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError


class Pipeline(NamedTuple):
    """A node of an MLApp under the id of its pipeline instance."""

    mlapp_id: str
    node_id: str
    instance_id: str


def pipeline_of(
    request: Request, caller: Principal, instance_id: str, action: str, *, of_mlapp: str = ""
) -> Pipeline:
    """The pipeline of an id, for somebody who may do this to its MLApp; 404 in the same words for everybody else's.

    With ``of_mlapp`` also for those of other MLApps.
    """
    from parallelm.warehouse.queries.pipelines import find_pipeline

    found = find_pipeline(context_of(request).settings, instance_id)
    if found is None or not caller.may(action, found[0]) or found[0] != (of_mlapp or found[0]):
        raise ApiProblemError(
            404,
            "unknown-pipeline",
            f"there is no pipeline instance {instance_id!r}; GET workflows/instances/<mlapp> lists those of an MLApp",
        )
    return Pipeline(*found, instance_id)


def instance_of(mlapp_id: str, node_id: str, agents: list[dict[str, Any]]) -> str:
    """Id of a node's pipeline instance."""
    known = [each["pipeline_instance_id"] for each in agents if each["node_id"] == node_id]
    return next((each for each in known if each), f"{mlapp_id}.{node_id}")

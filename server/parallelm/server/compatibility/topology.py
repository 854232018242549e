"""MLApp instances, thresholds, agents, execution environments and groups."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from parallelm.server.access.dependencies import allow
from parallelm.server.api._readable import READ
from parallelm.server.api.mlapps import current, nested
from parallelm.server.compatibility._pipelines import instance_of
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of

ROUTER: Final = APIRouter()
_NONE: Final = "-1"
_STATES: Final = {"": "ACTIVE", "ready": "ACTIVE", "draining": "ACTIVE"}
"""Of agents; a host that only reports has none of its own."""


@ROUTER.get("/workflows/instances/{mlapp_id}")
def mlapp_instance(request: Request, mlapp_id: str, caller: Caller) -> dict[str, Any]:
    """An MLApp with its nodes and pipeline instances."""
    from parallelm.warehouse.queries import mlapp_agents

    allow(caller, READ, mlapp_id)
    row = current(request, mlapp_id)
    agents = mlapp_agents(context_of(request).settings, mlapp_id)
    nodes = [_node(each, row, agents) for each in nested(row, "nodes")]
    instances = [
        {
            "pipelineInstanceId": each["pipelineInstanceId"],
            "workflowNodeId": each["id"],
            "pipelineName": each["pipelineEETuple"]["pipeline"]["name"],
            "pipelineType": each["pipelineType"],
            "pipelineMode": each["pipelineMode"],
            "agentId": each["pipelineEETuple"]["agent"]["id"],
            "hostname": each["pipelineEETuple"]["agent"]["address"],
            "defaultModelId": "",
            "cronSchedule": each["cronSchedule"],
        }
        for each in nodes
    ]
    return {
        "id": mlapp_id,
        "status": "Running",
        "operationMode": str(row.get("stage") or "production").upper(),
        "createdBy": row["applied_by"],
        "launchTime": round(row["applied_at"].timestamp() * 1000),
        "globalThreshold": row["health_threshold"],
        "canaryThreshold": row["canary_threshold"],
        "thresholdMap": {},
        "workflow": {
            "id": mlapp_id,
            "name": row["name"],
            "version": row["version"],
            "modelPolicy": row["model_policy"].upper(),
            "enableHealth": True,
            "workflow": nodes,
        },
        "pipelineInstances": instances,
        "pipelineInstanceIdToWfNodeId": {each["pipelineInstanceId"]: each["id"] for each in nodes},
    }


def _node(node: dict[str, Any], row: dict[str, Any], agents: list[dict[str, Any]]) -> dict[str, Any]:
    agent = next((each for each in agents if each["node_id"] == node["node_id"]), None)
    agent_id, host = (agent["agent_id"], agent["hostname"]) if agent else ("", "")
    name = node["pipeline"] or node["name"]
    children = [each["node_id"] for each in nested(row, "nodes") if node["node_id"] in each["parents"]]
    return {
        "id": node["node_id"],
        "pipelineInstanceId": instance_of(row["mlapp_id"], node["node_id"], agents),
        "pipelineMode": node["mode"],
        "pipelineType": node["type"],
        "parent": node["parents"][0] if node["parents"] else _NONE,
        "children": children[0] if len(children) == 1 else (children or _NONE),
        "parallelism": 1,
        "cronSchedule": node["schedule"],
        "pipelineEETuple": {
            "executionEnvironment": {"id": agent_id, "name": agent_id, "agentId": agent_id},
            "pipeline": {"id": name, "name": name},
            "agent": {"id": agent_id, "address": host},
        },
    }


@ROUTER.get("/health/thresholds")
def thresholds(request: Request, ionInstanceId: str, caller: Caller) -> dict[str, Any]:  # noqa: N803 - the original's name
    """Health and canary threshold of an MLApp."""
    allow(caller, READ, ionInstanceId)
    row = current(request, ionInstanceId)
    return {
        "globalThreshold": row["health_threshold"],
        "attributes": [],
        "canaryThreshold": row["canary_threshold"],
        "thresholdType": "ALL",
    }


@ROUTER.get("/agents")
def agents(request: Request, caller: Caller) -> list[dict[str, Any]]:
    """Hosts that run pipelines, or report."""
    return [
        {
            "id": each["agent_id"],
            "address": each["hostname"],
            "state": _STATES.get(each["state"], "INACTIVE"),
            "eeIds": [each["agent_id"]],
        }
        for each in _agents(request, caller)
    ]


@ROUTER.get("/executionEnvironments")
def execution_environments(request: Request, caller: Caller) -> list[dict[str, Any]]:
    """One an agent; its configuration are the labels by which nodes choose it."""
    return [
        {
            "id": each["agent_id"],
            "name": each["hostname"],
            "agentId": each["agent_id"],
            "configs": dict(each["labels"]),
        }
        for each in _agents(request, caller)
    ]


@ROUTER.get("/groups")
def groups(request: Request, caller: Caller) -> list[dict[str, Any]]:
    """One group of all agents, and one of those that have a label in common."""
    found: dict[str, list[str]] = {"all": []}
    for each in _agents(request, caller):
        for name in ("all", *(f"{label}={value}" for label, value in sorted(each["labels"].items()))):
            found.setdefault(name, []).append(each["agent_id"])
    return [{"id": name, "name": name, "agentIds": ids} for name, ids in found.items()]


def _agents(request: Request, caller: Caller) -> list[dict[str, Any]]:
    from parallelm.warehouse.queries.pipelines import agents as find

    return find(context_of(request).settings, mlapp_id=caller.mlapps(READ))

"""MLApp instances, thresholds, agents, execution environments and groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from fastapi import APIRouter, Request

from parallelm.definitions.original.quartz import to_quartz
from parallelm.schemas.records import RunState
from parallelm.server.access.dependencies import allow
from parallelm.server.api._readable import READ
from parallelm.server.api._values import rows
from parallelm.server.api.mlapps import current, nested
from parallelm.server.compatibility._pipelines import instance_of
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of

ROUTER: Final = APIRouter()
_NONE: Final = "-1"
_STATUS: Final[dict[str, str]] = {
    RunState.LAUNCHED: "Running", RunState.PAUSED: "Running", RunState.RESUMED: "Running", RunState.STOPPED: "Stopped",
    RunState.ARCHIVED: "Stopped", RunState.DELETED: "Accepted",
}  # fmt: skip
"""By what a person has done with the whole MLApp last. One that was deleted and defined again waits for its launch."""
_STATES: Final = {"": "ACTIVE", "ready": "ACTIVE", "draining": "ACTIVE"}
"""Of agents; a host that only reports has none of its own."""


@ROUTER.get("/workflows/instances/{mlapp_id}")
def mlapp_instance(request: Request, mlapp_id: str, caller: Caller) -> dict[str, Any]:
    """An MLApp with its nodes and pipeline instances."""
    from parallelm.warehouse.queries import mlapp_agents, run_transitions

    allow(caller, READ, mlapp_id)
    settings = context_of(request).settings
    row = current(request, mlapp_id)
    agents = mlapp_agents(settings, mlapp_id)
    told = rows(run_transitions(settings, mlapp_id=mlapp_id, node_id="", run_id=""))
    launch = next((each for each in reversed(told) if each["state"] == RunState.LAUNCHED), None)
    nodes = [_node(each, row, agents) for each in nested(row, "nodes")]
    instances = [each for node in nodes for each in _instances(node, agents)]
    return {
        "id": mlapp_id,
        "status": _status(request, row, [each["state"] for each in told]),
        "operationMode": str(row.get("stage") or "production").upper(),
        "createdBy": launch["who"] if launch else row["applied_by"],
        "launchTime": round((launch["event_time"] if launch else row["applied_at"]).timestamp() * 1000),
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
        "pipelineInstanceIdToWfNodeId": {
            each["pipelineInstanceId"]: each["workflowNodeId"] for each in instances
        },
    }


def _status(request: Request, row: dict[str, Any], told: list[str]) -> str:
    """The original's state of an instance. What agents do not run is not launched, and runs where its programs do."""
    from parallelm.warehouse.queries.node_runs import node_ends, open_runs_by_node

    running = {each["node_id"]: json.loads(each["running_json"] or "{}") for each in nested(row, "nodes")}
    if not any(running.values()):
        return "Running"
    life = next((_STATUS[state] for state in reversed(told) if state in _STATUS), "Accepted")
    lasts = any(form.get("schedule") for form in running.values()) or any(
        each["mode"] == "online" and running[each["node_id"]] for each in nested(row, "nodes")
    )
    settings = context_of(request).settings
    if life != "Running" or lasts or open_runs_by_node(settings, row["mlapp_id"]):
        return life
    ends = node_ends(settings, row["mlapp_id"])
    by_node = [ends.get(node_id, "") for node_id, form in running.items() if form]
    if any(end in {RunState.FAILED, RunState.LOST} for end in by_node):
        return "Failed"
    return "Completed" if all(end == RunState.SUCCEEDED for end in by_node) else life


def _node(node: dict[str, Any], row: dict[str, Any], agents: list[dict[str, Any]]) -> dict[str, Any]:
    agent = next((each for each in agents if each["node_id"] == node["node_id"]), None)
    agent_id, host = (agent["agent_id"], agent["hostname"]) if agent else ("", "")
    name = node["pipeline"] or node["name"]
    running = json.loads(node["running_json"] or "{}")
    children = [each["node_id"] for each in nested(row, "nodes") if node["node_id"] in each["parents"]]
    return {
        "id": node["node_id"],
        "pipelineInstanceId": instance_of(row["mlapp_id"], node["node_id"], agents),
        "pipelineMode": node["mode"],
        "pipelineType": node["type"],
        "parent": _one_or_more(node["parents"]),
        "children": _one_or_more(children),
        "parallelism": running.get("parallelism", 1),
        "cronSchedule": _in_quartz(node["schedule"]),
        "defaultModelId": running.get("default_model") or "",
        "pipelineEETuple": {
            "executionEnvironment": {"id": agent_id, "name": agent_id, "agentId": agent_id},
            "pipeline": {"id": name, "name": name},
            "agent": {"id": agent_id, "address": host},
        },
    }


def _instances(node: dict[str, Any], agents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each with the agent that runs it, or ran it last; at least the one by whose id others report."""
    agent = node["pipelineEETuple"]["agent"]
    own = [each for each in agents if each["node_id"] == node["id"]]
    known: dict[str, tuple[str, str]] = {}
    for part in (slice(1), slice(1, None)):  # what an agent runs now comes first of its instances
        for each in own:
            for instance in each["instances"][part]:
                known.setdefault(instance, (each["agent_id"], each["hostname"]))
    if not known:
        known[node["pipelineInstanceId"]] = (agent["id"], agent["address"])
    for instance, (agent_id, host) in list(known.items())[: node["parallelism"]]:
        yield {
            "pipelineInstanceId": instance,
            "workflowNodeId": node["id"],
            "pipelineName": node["pipelineEETuple"]["pipeline"]["name"],
            "pipelineType": node["pipelineType"],
            "pipelineMode": node["pipelineMode"],
            "agentId": agent_id,
            "hostname": host,
            "defaultModelId": node["defaultModelId"],
            "cronSchedule": node["cronSchedule"],
        }


def _one_or_more(nodes: list[str]) -> str | list[str]:
    return nodes[0] if len(nodes) == 1 else (nodes or _NONE)


def _in_quartz(cron: str) -> str:
    """The schedule; empty for one that names days of the month and of the week, which Quartz cannot."""
    try:
        return to_quartz(cron) if cron else ""
    except ValueError:
        return ""


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

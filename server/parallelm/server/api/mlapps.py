"""MLApps: what is defined now, earlier versions, and what changed between two."""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request

from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment, Name, rows
from parallelm.server.context import context_of

ROUTER: Final = resource("mlapps")
MLAppId = Annotated[
    str, Path(description="Id of an MLApp.", examples=["churn"], min_length=1, max_length=500)
]
_READS: Final = [Depends(require(READ))]


class MLApp(Answer):
    """An MLApp as it is defined now."""

    mlapp_id: str
    name: str
    description: str
    stage: str
    """`production` or `sandbox`."""
    version: int
    """Counts up from 1 with each change."""
    model_policy: str
    """`always_update`, `manual` or `canary`."""
    health_threshold: float
    canary_threshold: float
    """-1: none."""
    accept_timeout_ms: int
    """0: no limit."""
    applied_by: str
    applied_at: Moment


class MLAppSummary(MLApp):
    """An entry of the list."""

    node_count: int
    rule_count: int


class Node(Answer):
    """A node of an MLApp."""

    node_id: str
    name: str
    type: str
    """`model_producer`, `model_consumer`, …"""
    mode: str
    """`offline` or `online`."""
    schedule: str
    """A cron expression; empty: none."""
    pipeline: str
    parents: list[str]
    consumes: list[str]
    """Nodes whose models it consumes; empty: every producer."""


class Rule(Answer):
    """An alert rule."""

    name: str
    type: str
    statistic: str
    node_id: str
    """Empty: of any node."""
    for_ms: int
    severity: str
    parameters: dict[str, Any]


class MLAppDetails(MLApp):
    """An MLApp with its nodes and rules."""

    nodes: list[Node]
    rules: list[Rule]


class MLAppVersion(MLApp):
    """A version of the definition."""

    is_deleted: bool
    """The MLApp was removed with this version."""


class MLAppVersionDetails(MLAppVersion):
    """A version with its file."""

    definition: str
    """The file as it was applied."""


class MLAppDifferences(Answer):
    """What changed between two versions."""

    from_version: int
    to_version: int
    unified_diff: str
    """Of the two files, in the form of `diff -u`; empty when they are equal."""


class NodeAgent(Answer):
    """An agent that runs a node, has run it, or has reported for it."""

    node_id: str
    agent_id: str
    hostname: str
    state: str
    """ready, draining, drained or ended; empty for a host that only reports."""
    labels: dict[str, str]
    pipeline_instance_id: str
    """Empty when it is not known."""
    run_id: str
    """Of the run that goes on there; empty when none does."""


class Policy(Answer):
    """How models of the MLApp are deployed."""

    model_policy: str
    health_threshold: float
    canary_threshold: float
    accept_timeout_ms: int


@ROUTER.get("/mlapps")
def list_mlapps(
    request: Request,
    asking: Asking,
    page: Paging,
    search: Annotated[
        str | None, Query(max_length=200, description="Text in id, name or description.")
    ] = None,
) -> Page[MLAppSummary]:
    """MLApps by id."""
    from parallelm.warehouse.queries import mlapps

    keyset = page.keyset("mlapp_id")
    found = mlapps(context_of(request).settings, mlapp_id=readable(asking), search=search, page=keyset)
    return page.answer(MLAppSummary, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}", dependencies=_READS)
def get_mlapp(request: Request, mlapp_id: MLAppId) -> MLAppDetails:
    """One MLApp with its nodes and rules."""
    row = current(request, mlapp_id)
    return MLAppDetails.model_validate({**row, "nodes": nested(row, "nodes"), "rules": _rules(row)})


@ROUTER.get("/mlapps/{mlapp_id}/nodes", dependencies=_READS)
def list_nodes(request: Request, mlapp_id: MLAppId) -> list[Node]:
    """Nodes in the order of the definition."""
    return [Node.model_validate(each) for each in nested(current(request, mlapp_id), "nodes")]


@ROUTER.get("/mlapps/{mlapp_id}/policy", dependencies=_READS)
def get_policy(request: Request, mlapp_id: MLAppId) -> Policy:
    """The model policy that nodes have unless they have their own."""
    return Policy.model_validate(current(request, mlapp_id))


@ROUTER.get("/mlapps/{mlapp_id}/agents", dependencies=_READS)
def list_mlapp_agents(
    request: Request,
    mlapp_id: MLAppId,
    node_id: Annotated[Name | None, Query(description="Only of this node.")] = None,
) -> list[NodeAgent]:
    """Agents by node, also of an MLApp that reports without being defined."""
    from parallelm.warehouse.queries import mlapp_agents

    found = mlapp_agents(context_of(request).settings, mlapp_id)
    return [NodeAgent.model_validate(each) for each in found if node_id in {None, each["node_id"]}]


@ROUTER.get("/mlapps/{mlapp_id}/versions", dependencies=_READS)
def list_mlapp_versions(request: Request, mlapp_id: MLAppId, page: Paging) -> Page[MLAppVersion]:
    """Versions, the latest first; a removal has version 0."""
    from parallelm.warehouse.queries import mlapp_versions

    keyset = page.keyset("ingested_at", "_offset", descending=True)
    found = mlapp_versions(context_of(request).settings, mlapp_id, page=keyset)
    return page.answer(MLAppVersion, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/versions/{version}", dependencies=_READS)
def get_mlapp_version(
    request: Request, mlapp_id: MLAppId, version: Annotated[int, Path(ge=1, le=2**62)]
) -> MLAppVersionDetails:
    """One version with its file."""
    row = _version(request, mlapp_id, version)
    return MLAppVersionDetails.model_validate({**row, "definition": row["source_yaml"]})


@ROUTER.get("/mlapps/{mlapp_id}/differences", dependencies=_READS)
def get_mlapp_differences(
    request: Request,
    mlapp_id: MLAppId,
    from_version: Annotated[int, Query(ge=1, le=2**62)],
    to_version: Annotated[
        int | None, Query(ge=1, le=2**62, description="Without it the current version.")
    ] = None,
) -> MLAppDifferences:
    """What changed between two versions."""
    old = _version(request, mlapp_id, from_version)
    new = current(request, mlapp_id) if to_version is None else _version(request, mlapp_id, to_version)
    lines = difflib.unified_diff(
        old["source_yaml"].splitlines(),
        new["source_yaml"].splitlines(),
        f"version {old['version']}",
        f"version {new['version']}",
        lineterm="",
    )
    return MLAppDifferences(
        from_version=old["version"], to_version=new["version"], unified_diff="\n".join(lines)
    )


def current(request: Request, mlapp_id: str) -> dict[str, Any]:
    """Row of the current definition; 404 when there is none."""
    from parallelm.warehouse.queries import current_mlapp

    found = current_mlapp(context_of(request).settings, mlapp_id)
    if found is None:
        raise unknown("MLApp", mlapp_id)
    return found


def nested(row: dict[str, Any], group: str) -> list[dict[str, Any]]:
    """Parallel lists ``group.…`` of a row as records."""
    lists = {name.partition(".")[2]: value for name, value in row.items() if name.startswith(f"{group}.")}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _rules(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**each, "parameters": json.loads(each["parameters_json"] or "{}")} for each in nested(row, "rules")
    ]


def _version(request: Request, mlapp_id: str, version: int) -> dict[str, Any]:
    from parallelm.warehouse.queries import mlapp_versions

    found = rows(mlapp_versions(context_of(request).settings, mlapp_id, version=version))
    if not found:
        raise unknown("version", str(version), f" of MLApp {mlapp_id!r}")
    return found[-1]

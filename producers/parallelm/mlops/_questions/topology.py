"""The MLApp around this component: its id, policy, nodes and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.stats._callers_values import quoted, refusing

if TYPE_CHECKING:
    from parallelm.mlops._questions.platform import Platform
    from parallelm.mlops._session.opened import Opened
    from parallelm.mlops._session.session import Session
    from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy

_STAND_ALONE_ID = "1"
_STAND_ALONE_NAME = "ION_1"


@refusing
class Topology:
    """Each call queries the platform, and raises ``MLOpsConnectionException`` if it does not answer in time."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def mlapp_id(self) -> str:
        """Id of the MLApp; "1" stand-alone."""
        opened = self._session.opened()
        return _STAND_ALONE_ID if opened.settings is None else opened.environment.mlapp_id

    def mlapp_name(self) -> str:
        """Name of the MLApp, or its id if it has no definition; "ION_1" stand-alone."""
        opened = self._session.opened()
        platform = opened.platform
        if platform is None:
            return _STAND_ALONE_NAME
        definition = _definition(platform, opened)
        return str(definition["name"]) if definition else opened.environment.mlapp_id

    def mlapp_policy(self) -> Policy | None:
        """Policy of the MLApp; None if it has no definition, and stand-alone."""
        from parallelm.mlops.ion.ion import Policy

        opened = self._session.opened()
        platform = opened.platform
        definition = _definition(platform, opened) if platform else None
        if definition is None:
            return None
        return Policy(
            definition["health_threshold"], definition["canary_threshold"], definition["model_policy"].upper()
        )

    def nodes(self) -> list[MLAppNode]:
        """Nodes of the MLApp; without a definition, this one and those that have reported; none stand-alone."""
        from parallelm.mlops.ion.ion import MLAppNode

        opened = self._session.opened()
        platform = opened.platform
        if platform is None:
            return []
        definition = _definition(platform, opened)
        agents = _agents(platform, opened)
        if definition:
            known = list(
                zip(
                    definition["nodes.node_id"],
                    definition["nodes.name"],
                    definition["nodes.pipeline"],
                    strict=True,
                )
            )
        else:
            known = [(node_id, node_id, "") for node_id in dict.fromkeys(row["node_id"] for row in agents)]
        nodes = []
        for node_id, name, pipeline in known:
            rows = [row for row in agents if row["node_id"] == node_id]
            first = next((row for row in rows if row["pipeline_instance_id"]), None)
            instance = first["pipeline_instance_id"] if first else ""
            if node_id == opened.environment.node_id:
                instance = opened.environment.pipeline_instance_id or instance
            profiles = {row["agent_id"]: row["pipeline_instance_id"] or instance or pipeline for row in rows}
            ee_id = next((row["agent_id"] for row in rows if instance in row["instances"]), "")
            nodes.append(MLAppNode(name or node_id, node_id, pipeline, profiles, ee_id, instance))
        return nodes

    def node(self, name: str) -> MLAppNode | None:
        """The node with this name or id; None if there is none."""
        nodes = self.nodes()
        by_name = [node for node in nodes if node.name == name] or [node for node in nodes if node.id == name]
        return by_name[0] if by_name else None

    def current_node(self) -> MLAppNode:
        """The node that this component runs in; raises ``MLOpsException`` if it is unknown, and stand-alone."""
        node_id = self._session.opened().environment.node_id
        for node in self.nodes():
            if node_id and node.id == node_id:
                return node
        raise MLOpsException(
            f"the current node is unknown: PM_WORKFLOW_NODE_ID is {node_id!r}, and MLApp {self.mlapp_id()!r} has "
            "no node of that id"
        )

    def agents(self, node_name: str) -> list[Agent]:
        """Agents that run a node or have reported for it, including this one; raises for an unknown node."""
        from parallelm.mlops.ion.ion import Agent

        opened = self._session.opened()
        node, platform = self.node(node_name), opened.platform
        if node is None or platform is None:
            raise MLOpsException(f"MLApp {self.mlapp_id()!r} has no node {quoted(node_name)}")
        return [
            Agent(row["agent_id"], row["hostname"], row["state"], dict(row["labels"]))
            for row in _agents(platform, opened)
            if row["node_id"] == node.id
        ]


def _definition(platform: Platform, opened: Opened) -> dict[str, Any] | None:
    from parallelm.warehouse.queries import mlapp_definition

    return platform.ask(mlapp_definition, opened.environment.mlapp_id)


def _agents(platform: Platform, opened: Opened) -> list[dict[str, Any]]:
    """Agents that the platform knows, and this one, which may not have reported yet."""
    from parallelm.warehouse.queries import mlapp_agents

    environment = opened.environment
    known = platform.ask(mlapp_agents, environment.mlapp_id)
    here = (environment.node_id, environment.agent_id)
    if opened.mode is not MLOpsMode.AGENT or not all(here):
        return known
    if here in {(row["node_id"], row["agent_id"]) for row in known}:
        return known
    own = {
        "node_id": environment.node_id,
        "agent_id": environment.agent_id,
        "hostname": environment.agent_id,
        "pipeline_instance_id": environment.pipeline_instance_id,
        "state": "",
        "labels": {},
        "instances": [],
    }
    return [*known, own]

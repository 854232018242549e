"""The MLApp around this component: its id, policy, nodes and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops._session.session import CONNECTED_MODES, Session
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode

if TYPE_CHECKING:
    from parallelm.mlops._questions.platform import Platform
    from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy

_STAND_ALONE_ID = "1"
_STAND_ALONE_NAME = "ION_1"


class Topology(Session):
    """Each call asks the platform, and raises ``MLOpsConnectionException`` when it gives no answer in time."""

    def get_mlapp_id(self) -> str:
        """Id of the MLApp; "1" stand-alone."""
        self._opened_output()
        return self._environment.mlapp_id if self._connected() else _STAND_ALONE_ID

    def get_mlapp_name(self) -> str:
        """Name of the MLApp, its id where it has no definition; "ION_1" stand-alone."""
        self._opened_output()
        platform = self._platform()
        if platform is None:
            return _STAND_ALONE_NAME
        definition = platform.definition(self._environment.mlapp_id)
        return str(definition["name"]) if definition else self._environment.mlapp_id

    def get_mlapp_policy(self) -> Policy | None:
        """Policy of the MLApp; None where it has no definition, and stand-alone."""
        from parallelm.mlops.ion.ion import Policy

        self._opened_output()
        platform = self._platform()
        definition = platform.definition(self._environment.mlapp_id) if platform else None
        if definition is None:
            return None
        return Policy(
            definition["health_threshold"], definition["canary_threshold"], definition["model_policy"].upper()
        )

    def get_nodes(self) -> list[MLAppNode]:
        """Nodes of the MLApp; where it has no definition this one and those that have reported; none stand-alone."""
        from parallelm.mlops.ion.ion import MLAppNode

        self._opened_output()
        platform = self._platform()
        if platform is None:
            return []
        definition = platform.definition(self._environment.mlapp_id)
        agents = self._agents(platform)
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
            there = {
                row["agent_id"]: row["pipeline_instance_id"] for row in agents if row["node_id"] == node_id
            }
            instance = max(there.values(), default="")
            if node_id == self._environment.node_id:
                instance = self._environment.pipeline_instance_id or instance
            profiles = {agent: found or instance or pipeline for agent, found in there.items()}
            nodes.append(MLAppNode(name or node_id, node_id, pipeline, profiles, "", instance))
        return nodes

    def get_node(self, name: str) -> MLAppNode | None:
        """The node of a name (or id); None when there is none."""
        nodes = self.get_nodes()
        by_name = [node for node in nodes if node.name == name] or [node for node in nodes if node.id == name]
        return by_name[0] if by_name else None

    def get_current_node(self) -> MLAppNode:
        """The node that this component runs in; raises ``MLOpsException`` when it is unknown, and stand-alone."""
        node_id = self._environment.node_id
        for node in self.get_nodes():
            if node_id and node.id == node_id:
                return node
        raise MLOpsException(
            f"the current node is unknown: PM_WORKFLOW_NODE_ID is {node_id!r}, and MLApp {self.get_mlapp_id()!r} has "
            "no node of that id"
        )

    def get_agents(self, node_name: str) -> list[Agent]:
        """Agents that run a node, this one included, or have reported for it; raises for an unknown node."""
        from parallelm.mlops.ion.ion import Agent

        node = self.get_node(node_name)
        platform = self._platform()
        if node is None or platform is None:
            raise MLOpsException(f"MLApp {self.get_mlapp_id()!r} has no node {node_name!r}")
        return [
            Agent(row["agent_id"], row["hostname"])
            for row in self._agents(platform)
            if row["node_id"] == node.id
        ]

    def get_agent(self, node_name: str, agent_id: str) -> Agent | None:
        """The agent of an id that runs a node; None when there is none."""
        return next((agent for agent in self.get_agents(node_name) if agent.id == agent_id), None)

    mlapp_id = property(get_mlapp_id, doc="Id of the MLApp.")
    mlapp_name = property(get_mlapp_name, doc="Name of the MLApp.")
    mlapp_policy = property(get_mlapp_policy, doc="Policy of the MLApp.")
    nodes = property(get_nodes, doc="Nodes of the MLApp.")

    def _agents(self, platform: Platform) -> list[dict[str, Any]]:
        """Those that the platform knows of, and this one, which may not have reported yet."""
        known = platform.agents(self._environment.mlapp_id)
        here = (self._environment.node_id, self._environment.agent_id)
        if self._mode is not MLOpsMode.AGENT or not all(here):
            return known
        if here in {(row["node_id"], row["agent_id"]) for row in known}:
            return known
        instance = self._environment.pipeline_instance_id
        own = {
            "node_id": here[0],
            "agent_id": here[1],
            "hostname": here[1],
            "pipeline_instance_id": instance,
        }
        return [*known, own]

    def _connected(self) -> bool:
        return self._settings is not None and self._mode in CONNECTED_MODES

    def _platform(self) -> Platform | None:
        """The platform to ask; None in modes that have none."""
        settings: Any = self._settings
        if not self._connected():
            return None
        from parallelm.mlops._questions.platform import Platform

        return Platform(settings)

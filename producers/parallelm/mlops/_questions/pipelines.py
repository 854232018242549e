"""What agents ran: the run that this component is, other runs, and the models that pipelines have produced and consumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops._questions.arguments import agent_id_of, check_times
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import quoted, refusing

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.mlops._questions.topology import Topology
    from parallelm.mlops._session.session import Session
    from parallelm.mlops.ion.ion import Agent
    from parallelm.schemas.times import Time

_RUN_COLUMNS = (
    "run_id", "state", "reason", "due_at", "started_at", "ended_at", "duration_ms", "attempt", "starts", "exit_code", "trigger",
    "trigger_id", "model_id", "pipeline_instance_id", "who", "node", "agent",
)  # fmt: skip
_MODEL_COLUMNS = ("role", "model_id", "name", "run_id", "since", "until", "node", "agent")


@refusing
class Pipelines:
    """Each call but ``run_id`` needs pandas, and raises ``MLOpsConnectionException`` if the platform does not answer in time."""

    def __init__(self, session: Session, topology: Topology) -> None:
        self._session = session
        self._topology = topology

    def run_id(self) -> str:
        """``get_run_id``."""
        return self._session.opened().environment.run_id

    def runs(
        self,
        mlapp_node: str | None,
        agent: str | Agent | None,
        start_time: Time | None,
        end_time: Time | None,
        state: str | None,
    ) -> pd.DataFrame | None:
        """``get_runs``."""
        opened = self._session.opened()
        agent_id = agent_id_of(mlapp_node, agent, node_needed=False)
        check_times(start_time, end_time, may_be_open=True)
        if state is not None and not isinstance(state, str):
            raise MLOpsException(f"state must be a string, not {type(state).__name__}")
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        found = platform.ask(
            queries.runs,
            mlapp_id=self._topology.mlapp_id(),
            node_id=self._node_id(mlapp_node),
            agent_id=agent_id,
            state=state,
            start=start_time,
            end=end_time,
        )
        return self._shown(found, _RUN_COLUMNS)

    def models(self, mlapp_node: str | None) -> pd.DataFrame | None:
        """``get_pipeline_models``."""
        platform = self._session.opened().platform_to_ask()
        if platform is None:
            return None
        import pandas as pd

        from parallelm.warehouse import queries

        rows = platform.ask(
            queries.models_of_pipelines, self._topology.mlapp_id(), node_id=self._node_id(mlapp_node)
        )
        found = pd.DataFrame(rows, columns=["node_id", "agent_id", *_MODEL_COLUMNS[:-2]])
        for column in ("since", "until"):
            found[column] = queries.time_column(None if value is pd.NaT else value for value in found[column])
        return self._shown(found, _MODEL_COLUMNS)

    def _shown(self, found: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
        """Nodes by their names, or the ids of those that were removed."""
        names = {node.id: node.name for node in self._topology.nodes()} if len(found) else {}
        found["node"] = [names.get(node_id, node_id) for node_id in found["node_id"]]
        return found.rename(columns={"agent_id": "agent"})[list(columns)]

    def _node_id(self, name: Any) -> str | None:
        node = None if name is None else self._topology.node(name)
        if name is not None and node is None:
            raise MLOpsException(f"MLApp {self._topology.mlapp_id()!r} has no node {quoted(name)}")
        return node.id if node else None

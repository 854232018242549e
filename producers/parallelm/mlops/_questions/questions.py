"""The calls that query the platform: ``get_stats``, ``get_kpi``, ``get_events``, ``get_models_by_time`` and similar.

The façade's docstrings describe the frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops._questions.arguments import agent_id_of, check_times
from parallelm.mlops._questions.model_frames import local_models, platform_models
from parallelm.mlops.events.event_type import type_name
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import quoted, refusing
from parallelm.schemas.well_known import PHASE_LABEL, TRAINING_PHASE

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.mlops._models.models import Models
    from parallelm.mlops._questions.topology import Topology
    from parallelm.mlops._session.session import Session
    from parallelm.mlops.ion.ion import Agent
    from parallelm.mlops.models.model import Model
    from parallelm.schemas.times import Time


@refusing
class Questions:
    """Each call needs pandas, and raises ``MLOpsConnectionException`` if the platform does not answer in time."""

    def __init__(self, session: Session, topology: Topology, models: Models) -> None:
        self._session = session
        self._topology = topology
        self._models = models

    def stats(
        self,
        name: str,
        mlapp_node: str | None,
        agent: str | Agent | None,
        start_time: Time,
        end_time: Time,
        no_of_lines: int | None = -1,
    ) -> pd.DataFrame | None:
        """``get_stats``."""
        opened = self._session.opened()
        if not isinstance(name, str):
            raise MLOpsException(f"the name of a statistic must be a string, not {type(name).__name__}")
        agent_id = agent_id_of(mlapp_node, agent)
        check_times(start_time, end_time)
        if no_of_lines is not None and not isinstance(no_of_lines, int):
            raise MLOpsException(f"no_of_lines must be a whole number, not {type(no_of_lines).__name__}")
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        node_id = self._node_id(mlapp_node)
        from parallelm.mlops._questions.frames import samples_frame, structured_frame
        from parallelm.warehouse import queries

        wanted: dict[str, Any] = {
            "mlapp_id": self._topology.mlapp_id(),
            "node_id": node_id,
            "agent_id": agent_id,
            "start": start_time,
            "end": end_time,
        }
        samples = platform.ask(queries.statistics, name, **wanted)
        if samples.empty:
            structured = platform.ask(queries.structured_statistics, name, **wanted)
            found = samples_frame(samples) if structured.empty else structured_frame(structured)
        else:
            found = samples_frame(samples)
        found = self._with_names_of_nodes(found)
        return found if no_of_lines is None or no_of_lines < 0 else found.head(no_of_lines)

    def kpi(self, name: str, start_time: Time, end_time: Time) -> pd.DataFrame | None:
        """``get_kpi``."""
        opened = self._session.opened()
        if not isinstance(name, str):
            raise MLOpsException(f"the name of a KPI must be a string, not {type(name).__name__}")
        check_times(start_time, end_time)
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        found = platform.ask(
            queries.kpis, name, mlapp_id=self._topology.mlapp_id(), start=start_time, end=end_time
        )
        return found.rename(columns={"event_time": "time"})[["time", "value", "labels"]]

    def data_distribution_stats(self, model_id: str) -> pd.DataFrame | None:
        """``get_data_distribution_stats``."""
        opened = self._session.opened()
        if not isinstance(model_id, str):
            raise MLOpsException(f"model_id must be a string, not {type(model_id).__name__}")
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        import pandas as pd

        from parallelm.mlops._questions.frames import distribution_frame
        from parallelm.warehouse import queries

        columns = ["feature", "kind", "edges", "categories", "weights", "model_id", "event_time"]
        rows = platform.ask(queries.training_histograms, model_id, PHASE_LABEL, TRAINING_PHASE)
        return distribution_frame(pd.DataFrame(rows, columns=columns))

    def events(
        self,
        type: Any = None,  # noqa: A002 - the public contract's name
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        is_alert: bool | None = True,
    ) -> pd.DataFrame | None:
        """``get_events``."""
        opened = self._session.opened()
        agent_id = agent_id_of(mlapp_node, agent, node_needed=False)
        check_times(start_time, end_time, may_be_open=True)
        wanted = None if type is None else type_name(type)
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        from parallelm.mlops._questions.frames import events_frame
        from parallelm.warehouse import queries

        found = platform.ask(
            queries.events,
            wanted,
            mlapp_id=self._topology.mlapp_id(),
            node_id=self._node_id(mlapp_node),
            agent_id=agent_id,
            is_alert=is_alert,
            start=start_time,
            end=end_time,
        )
        if found.empty:
            return None
        return self._with_names_of_nodes(events_frame(found, self._topology.mlapp_name()))

    def models_by_time(
        self,
        start_time: Time,
        end_time: Time,
        download: bool = False,
        pipeline_name: str | None = None,
    ) -> pd.DataFrame | None:
        """``get_models_by_time``."""
        opened = self._session.opened()
        check_times(start_time, end_time)
        nodes = None
        if pipeline_name is not None and not opened.validates_only:
            nodes = self._nodes_of_pipeline(pipeline_name)
        published = opened.output.published()
        if published is not None:
            return local_models(self._models, published, None, start_time, end_time, download)
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        found = platform.ask(
            queries.models, mlapp_id=self._topology.mlapp_id(), start=start_time, end=end_time
        )
        wanted = found if nodes is None else found[found["node_id"].isin(nodes)]
        return platform_models(self._models, wanted, download)

    def model_by_id(self, model: str | Model, download: bool = False) -> pd.DataFrame | None:
        """``get_model_by_id``."""
        from parallelm.mlops.models.model import Model

        opened = self._session.opened()
        model_id = model.get_id() if isinstance(model, Model) else model
        if not isinstance(model_id, str):
            raise MLOpsException(f"a model must be a Model or its id, not {type(model).__name__}")
        published = opened.output.published()
        if published is not None:
            return local_models(self._models, published, model_id, None, None, download)
        platform = opened.platform_to_ask()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        return platform_models(self._models, platform.ask(queries.models, model_id=model_id), download)

    # ---- within -------------------------------------------------------------------------------------------------

    def _node_id(self, name: str | None) -> str | None:
        if name is None:
            return None
        node = self._topology.node(name)
        if node is None:
            raise MLOpsException(f"MLApp {self._topology.mlapp_id()!r} has no node {quoted(name)}")
        return node.id

    def _with_names_of_nodes(self, found: pd.DataFrame) -> pd.DataFrame:
        """Column ``node`` in the form of ``mlapp_node``: the name, or the id if the node has no name or was removed."""
        if not found.empty:
            names = {node.id: node.name for node in self._topology.nodes()}
            found["node"] = [names.get(node_id, node_id) for node_id in found["node"]]
        return found

    def _nodes_of_pipeline(self, name: str) -> list[str]:
        nodes = [
            node.id
            for node in self._topology.nodes()
            if name in {node.pipeline_pattern_id, node.name, node.id}
        ]
        if not nodes:
            raise MLOpsException(f"MLApp {self._topology.mlapp_id()!r} has no pipeline {quoted(name)}")
        return nodes

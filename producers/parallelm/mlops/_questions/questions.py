"""What components ask: ``get_stats``, ``get_kpi``, ``get_events``, ``get_models_by_time`` and their relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops._models.models import Models
from parallelm.mlops.events.event_type import type_name
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.schemas.well_known import PHASE_LABEL, TRAINING_PHASE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from parallelm.mlops._models.outbox import OutboxEntry
    from parallelm.mlops._questions.platform import Platform
    from parallelm.mlops.events.event_filter import EventFilter
    from parallelm.mlops.ion.ion import Agent
    from parallelm.mlops.models.model import Model
    from parallelm.schemas.times import Time


class Queries(Models):
    """Each call raises ``MLOpsConnectionException`` when the platform gives no answer in time, and needs pandas."""

    def get_stats(
        self,
        name: str,
        mlapp_node: str | None,
        agent: str | Agent | None,
        start_time: Time,
        end_time: Time,
        no_of_lines: int | None = -1,
    ) -> pd.DataFrame | None:
        """Reports of a statistic in a range of times: datetimes, dates or texts in ISO 8601 (UTC unless they name a zone).

        The start is floored to the millisecond, the end rounded up, and does not belong to the range; an equal start and
        end ask for their millisecond.

        Of one node (by name) or, with None, of all; of one agent (its id, or an ``Agent``) or of all. Columns by how
        the statistic is drawn, and ``node`` (its name), ``agent``: a line has ``time, value``, several lines
        ``time, <line>…``, bars ``time, hist_type, hist_values, bin_edges, stat_name`` or ``time, <column>…``, a table one row for each of its
        rows ``time, row_name, values, columns``, opaque data ``time, data``, a graph ``time`` and its keys. With
        ``no_of_lines`` the first so many rows. An unknown statistic gives an empty frame.
        """
        self._opened_output()
        if not isinstance(name, str):
            raise MLOpsException(f"the name of a statistic must be a string, not {type(name).__name__}")
        agent_id = _agent_id(mlapp_node, agent)
        _check_times(start_time, end_time)
        if no_of_lines is not None and not isinstance(no_of_lines, int):
            raise MLOpsException(f"no_of_lines must be a whole number, not {type(no_of_lines).__name__}")
        platform = self._asked()
        if platform is None:
            return None
        node_id = self._node_id(mlapp_node)
        from parallelm.mlops._questions.frames import samples_frame, structured_frame
        from parallelm.warehouse import queries

        wanted: dict[str, Any] = {
            "mlapp_id": self.get_mlapp_id(),
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

    def get_kpi(self, name: str, start_time: Time, end_time: Time) -> pd.DataFrame | None:
        """Points of a KPI in a range of times, as of ``get_stats``: ``time, value, labels``, by their latest revision."""
        self._opened_output()
        if not isinstance(name, str):
            raise MLOpsException(f"the name of a KPI must be a string, not {type(name).__name__}")
        _check_times(start_time, end_time)
        platform = self._asked()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        found = platform.ask(queries.kpis, name, mlapp_id=self.get_mlapp_id(), start=start_time, end=end_time)
        return found.rename(columns={"event_time": "time"})[["time", "value", "labels"]]

    def get_data_distribution_stats(self, model_id: str) -> pd.DataFrame | None:
        """Histograms that a model was trained on.

        Columns ``stat_name, hist_type, hist_values, bin_edges, modelId, timestamp``: one row a feature.
        """
        self._opened_output()
        if not isinstance(model_id, str):
            raise MLOpsException(f"model_id must be a string, not {type(model_id).__name__}")
        platform = self._asked()
        if platform is None:
            return None
        import pandas as pd

        from parallelm.mlops._questions.frames import distribution_frame

        columns = ["feature", "kind", "edges", "categories", "weights", "model_id", "event_time"]
        rows = platform.training_histograms(model_id, (PHASE_LABEL, TRAINING_PHASE))
        return distribution_frame(pd.DataFrame(rows, columns=columns))

    def get_events(
        self,
        type: Any = None,  # noqa: A002 - the public contract's name
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        is_alert: bool | None = True,
    ) -> pd.DataFrame | None:
        """Events of the MLApp that pass every filter; alerts only unless ``is_alert`` is False, or None for all.

        Columns ``time, type, title, description, alert, data, node, agent, modelId, id``, and under the names that they
        had on the original platform ``created`` (epoch ms), ``eventType, raiseAlert, host, name, ionName, msgType``. None
        when there are none.
        """
        self._opened_output()
        agent_id = _agent_id(mlapp_node, agent, node_needed=False)
        _check_times(start_time, end_time, may_be_open=True)
        wanted = None if type is None else type_name(type)
        platform = self._asked()
        if platform is None:
            return None
        from parallelm.mlops._questions.frames import events_frame
        from parallelm.warehouse import queries

        found = platform.ask(
            queries.events,
            wanted,
            mlapp_id=self.get_mlapp_id(),
            node_id=self._node_id(mlapp_node),
            agent_id=agent_id,
            is_alert=is_alert,
            start=start_time,
            end=end_time,
        )
        if found.empty:
            return None
        return self._with_names_of_nodes(events_frame(found, self.get_mlapp_name()))

    def find_events(self, event_filter: EventFilter) -> pd.DataFrame | None:
        """``get_events`` with an ``EventFilter``."""
        return self.get_events(
            event_filter.type,
            event_filter.mlapp_node,
            event_filter.agent,
            event_filter.start_time,
            event_filter.end_time,
            event_filter.is_alert,
        )

    def get_models_by_time(
        self,
        start_time: Time,
        end_time: Time,
        download: bool = False,
        pipeline_name: str | None = None,
    ) -> pd.DataFrame | None:
        """Models that the MLApp published in a range of times, as of ``get_stats``; of one node (or pipeline), if named.

        Columns as of ``ModelMetadata.to_dict``, and ``data`` with ``download``. Raises ``MLOpsException`` for a
        pipeline that the MLApp does not have.
        """
        output = self._opened_output()
        _check_times(start_time, end_time)
        nodes = None
        if pipeline_name is not None and not self._api_test_mode:
            nodes = self._nodes_of_pipeline(pipeline_name)
        published = getattr(output, "published", None)
        if published is not None:
            return self._local_models(published, None, start_time, end_time, download)
        platform = self._asked()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        found = platform.ask(queries.models, mlapp_id=self.get_mlapp_id(), start=start_time, end=end_time)
        wanted = found if nodes is None else found[found["node_id"].isin(nodes)]
        return self._models_frame(wanted, download)

    def get_model_by_id(self, model: str | Model, download: bool = False) -> pd.DataFrame | None:
        """The model of an id, as one row of ``get_models_by_time``; no row when there is none."""
        from parallelm.mlops.models.model import Model

        output = self._opened_output()
        model_id = model.get_id() if isinstance(model, Model) else model
        if not isinstance(model_id, str):
            raise MLOpsException(f"a model must be a Model or its id, not {type(model).__name__}")
        published = getattr(output, "published", None)
        if published is not None:
            return self._local_models(published, model_id, None, None, download)
        platform = self._asked()
        if platform is None:
            return None
        from parallelm.warehouse import queries

        return self._models_frame(platform.ask(queries.models, model_id=model_id), download)

    # ---- within -------------------------------------------------------------------------------------------------

    def _asked(self) -> Platform | None:
        """The platform; None in test mode, where nothing is asked. Raises ``MLOpsException`` in modes without one."""
        if self._api_test_mode:
            return None
        platform = self._platform()
        if platform is None:
            raise MLOpsException(
                f"mode {self._mode.value} has no platform to ask: use mode agent or attach()"
            )
        return platform

    def _node_id(self, name: str | None) -> str | None:
        if name is None:
            return None
        node = self.get_node(name)
        if node is None:
            raise MLOpsException(f"MLApp {self.get_mlapp_id()!r} has no node {name!r}")
        return node.id

    def _with_names_of_nodes(self, found: pd.DataFrame) -> pd.DataFrame:
        """Column ``node`` as ``mlapp_node`` is given: by name, by id where the node has none or is gone."""
        if not found.empty:
            names = {node.id: node.name for node in self.get_nodes()}
            found["node"] = [names.get(node_id, node_id) for node_id in found["node"]]
        return found

    def _nodes_of_pipeline(self, name: str) -> list[str]:
        nodes = [
            node.id for node in self.get_nodes() if name in {node.pipeline_pattern_id, node.name, node.id}
        ]
        if not nodes:
            raise MLOpsException(f"MLApp {self.get_mlapp_id()!r} has no pipeline {name!r}")
        return nodes

    def _models_frame(self, found: pd.DataFrame, download: bool) -> pd.DataFrame:
        from parallelm.mlops._models.models import model_of_row
        from parallelm.mlops._questions.frames import epoch_ms, records_of

        rows = records_of(found)
        models = [model_of_row(self, row | {"created_ms": epoch_ms(row["event_time"])}) for row in rows]
        records = [
            model.metadata.to_dict() | {"active": bool(row["live_on"])}
            for model, row in zip(models, rows, strict=True)
        ]
        return _model_records(records, [self.read_model(model) for model in models] if download else None)

    def _local_models(
        self,
        published: Mapping[str, OutboxEntry],
        model_id: str | None,
        start: Time | None,
        end: Time | None,
        download: bool,
    ) -> pd.DataFrame:
        """Models that this stand-alone run has published."""
        from parallelm.mlops._session.event_time import parse_range_ms

        first_ms, last_ms = parse_range_ms(start, end)
        entries = [
            entry
            for entry in published.values()
            if model_id in {None, entry.manifest["model_id"]}
            and (first_ms is None or first_ms <= entry.manifest["event_time_ms"])
            and (last_ms is None or entry.manifest["event_time_ms"] < last_ms)
        ]
        records = [self.describe_published(entry.manifest) for entry in entries]
        return _model_records(
            records,
            [model_bytes(entry.artifact, str(entry.manifest["format"])) for entry in entries]
            if download
            else None,
        )


def model_bytes(file: Path, model_format: str) -> bytes | str:
    """A model's content: text where its format is text."""
    from parallelm.mlops.models.model import ModelFormat

    content = file.read_bytes()
    return content.decode() if ModelFormat.from_str(model_format).is_text else content


def _model_records(records: list[dict[str, Any]], data: list[bytes | str] | None) -> pd.DataFrame:
    import pandas as pd

    from parallelm.mlops.models.model import ModelFormat, ModelMetadata

    columns = list(ModelMetadata("", "", ModelFormat.UNKNOWN).to_dict())
    frame = pd.DataFrame(records, columns=columns)
    if data is not None:
        frame["data"] = pd.Series(data, dtype="object", index=frame.index)
    return frame


def _agent_id(mlapp_node: str | None, agent: str | Agent | None, *, node_needed: bool = True) -> str | None:
    from parallelm.mlops.ion.ion import Agent

    if agent is None:
        return None
    if node_needed and mlapp_node is None:
        raise MLOpsException("an agent is given, but no node: with node None, agent must be None too")
    if isinstance(agent, Agent):
        return agent.id
    if not isinstance(agent, str):
        raise MLOpsException(f"an agent must be an Agent or its id, not {type(agent).__name__}")
    return agent


def _check_times(start: Any, end: Any, *, may_be_open: bool = False) -> None:
    from parallelm.mlops._session.event_time import parse_range_ms

    if not may_be_open and (start is None or end is None):
        raise MLOpsException("a start and an end are needed: datetimes, dates or texts in ISO 8601")
    parse_range_ms(start, end)

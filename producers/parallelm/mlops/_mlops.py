"""The façade that components use. It holds the parts that do the work, and documents every call."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from parallelm.mlops._models.models import Models
from parallelm.mlops._questions.pipelines import Pipelines
from parallelm.mlops._questions.questions import Questions
from parallelm.mlops._questions.topology import Topology
from parallelm.mlops._reporting.events import Events
from parallelm.mlops._reporting.outcomes import Outcomes
from parallelm.mlops._reporting.reporter import Reporter
from parallelm.mlops._reporting.samples import SampleQueue
from parallelm.mlops._session.part import arrived, not_the_one_instance
from parallelm.mlops._session.run import Run
from parallelm.mlops._session.session import Session
from parallelm.mlops.mlops_exception import SuppressException
from parallelm.mlops.models import model as models
from parallelm.mlops.stats._values import LARGEST_EXACT_INTEGER
from parallelm.mlops.stats_category import StatCategory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

    from parallelm.mlops._metrics import MLOpsMetrics
    from parallelm.mlops._reporting.series import Series
    from parallelm.mlops.events.event import Event
    from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy
    from parallelm.mlops.mlops_mode import MLOpsMode
    from parallelm.mlops.time_capture import TimeCapture
    from parallelm.schemas.times import Time

_TIME_SERIES = StatCategory.TIME_SERIES


class MLOps:
    """Reports statistics, events, alerts, KPIs and models of a component, and asks the platform about them.

    Reporting never blocks on the network, never raises because the platform is down, uses bounded memory
    (``MCENTER_COMPONENT_QUEUE_MAX_SAMPLES``), works from all threads and tasks, and in forked children.
    ``done()`` or the end of the interpreter sends what is waiting, and takes ``MCENTER_COMPONENT_CLOSE_TIMEOUT_S`` (2 s)
    at most when nothing can be delivered. Workers of pools do the same when they end.

    ``mlops`` copies as itself, and unpickles as the ``mlops`` of the other process, open in a worker if it is open here.
    """

    def __init__(self) -> None:
        self._queue = SampleQueue()
        self._session = Session(self._queue)
        self._run = Run()
        self._reporter = Reporter(self._session, self._queue)
        self._events = Events(self._session)
        self._outcomes = Outcomes(self._session)
        self._models = Models(self._session, self._reporter)
        self._topology = Topology(self._session)
        self._questions = Questions(self._session, self._topology, self._models)
        self._pipelines = Pipelines(self._session, self._topology)

    def __reduce__(self) -> tuple[Callable[..., MLOps], tuple[object, ...]]:
        if self is not mlops:
            raise not_the_one_instance()
        return arrived, (self._session.as_in_worker(),)

    def init(
        self,
        ctx: Any = None,  # noqa: ARG002 - a Spark context, which older components pass; reports do not need it
        connect_mlops: bool = False,
        version: str | None = None,
        mlops_mode: MLOpsMode | str | None = None,
    ) -> None:
        """Open the library in ``mlops_mode``, by default the mode in PM_MLOPS_MODE, else stand-alone.

        Uses no network, except to load the model that PM_MLOPS_MODEL_ID names, with a time limit. A second call warns and
        returns. Raises ``MLOpsException`` for unsupported versions, unknown modes and unreadable settings.
        """
        self._session.init(connect_mlops, version, mlops_mode)

    def attach(
        self,
        mlapp_id: str,
        mlops_server: str = "localhost",
        mlops_port: str = "3456",
        user: str = "admin",
        password: str | None = None,
    ) -> None:
        """Act for an MLApp from anywhere, for example from a notebook, in mode ATTACH.

        With a ``password``, or the token of ``MCENTER_SERVER_TOKEN``, it signs in at the server and gets from it where the
        platform is: nothing else is needed. ``mlops_server`` is a host or a URL; a host that is not this machine is reached
        by ``https``; where none is named, ``MCENTER_SERVER_URL`` counts. Without password and token, the settings of this machine say where the platform is.

        Raises ``MLOpsConnectionException`` when the server or ClickHouse does not answer or refuses the user,
        ``MLOpsException`` when the library is open.
        """
        self._session.attach(mlapp_id, mlops_server, str(mlops_port), user, password)

    def done(self) -> None:
        """Send everything that is waiting and close; raises ``MLOpsException`` when the library is not open."""
        self._session.done()

    @property
    def init_called(self) -> bool:
        """True while the library is open."""
        return self._session.init_called

    @property
    def done_called(self) -> bool:
        """True after ``done()``, until the next ``init()``."""
        return self._session.done_called

    def dropped(self) -> dict[str, int]:
        """How many reports this process dropped since ``init()``, by reason; still known after ``done()``.

        ``queue_full`` (the broker was away for too long), ``too_large`` (a record above 1 MB), ``not_delivered`` (refused
        by the broker), ``not_encoded``, ``closed`` (``done()`` ran out of time), ``spool_damaged``, ``not_written``
        (stand-alone: stdout is closed, or the disk full), ``interpreter_ends``.
        """
        return self._session.dropped()

    def event_time(self, ts: Time | float, units: str | None = None) -> AbstractContextManager[None]:
        """Give reports of this thread or task in the block the time ``ts``, as of ``set_stat``; a number needs ``units``."""
        return self._session.event_time(ts, units)

    def suppress_connection_errors(self, suppress: bool) -> None:
        """When on, calls that could not reach the platform log a warning instead of raising."""
        SuppressException.set_suppress(suppress)

    @property
    def test_mode(self) -> bool:
        """Whether this component runs as a test. The library itself does not use it."""
        return self._run.test_mode

    def _set_test_mode(self, value: bool) -> None:
        self._run.set_test_mode(value)

    def _set_api_test_mode(self) -> None:
        """Validate arguments only from now on: nothing is sent or queried."""
        self._session.validate_only()

    def get_uuid(self) -> str:
        """Id of this run: the one that was set, else a generated one that does not change."""
        return self._run.uuid

    def set_uuid(self, uuid: str) -> Self:
        """Set the id of this run."""
        self._run.uuid = uuid
        return self

    def get_stats_map(self) -> dict[str, Any]:
        """The newest value of each statistic, by name; in mode rest_accumulator only."""
        return self._session.opened().output.stats_map()

    def set_stat(
        self,
        name: Any,
        data: Any = None,
        category: StatCategory = _TIME_SERIES,
        timestamp: Any = None,
        **kwargs: Any,
    ) -> None:
        """Report a statistic.

        Either ``name`` (a text) and ``data`` (a number, stored as float64), or a statistic object as either of them,
        or a member of ``ClassificationMetrics``, ``RegressionMetrics`` or ``ClusteringMetrics`` and its data (with
        ``labels``, ``true_labels``, ``pred_labels``, ``legend`` where the metric needs them).

        ``category`` of a number is TIME_SERIES (every value counts) or CONFIG (only the last counts). ``timestamp`` is a
        datetime, a date, a text in ISO 8601 (UTC unless they name a zone) or a number of ``units`` (default: nanoseconds)
        since the epoch; a number that is probably in other units is refused. The default is the time of the
        ``event_time`` block, else now. Never blocks, and raises ``MLOpsException`` for wrong arguments only.
        """
        # The hot path: a plain number is queued without a further call.
        queue = self._queue
        if (
            type(name) is str
            and name
            and category is _TIME_SERIES
            and timestamp is None
            and not kwargs
            and len(queue) < queue.room
        ):
            if type(data) is float:
                queue.append((name, data, queue.clock()))
                return
            if type(data) is int and -LARGEST_EXACT_INTEGER <= data <= LARGEST_EXACT_INTEGER:
                queue.append((name, float(data), queue.clock()))
                return
        self._reporter.stat(name, data, category, timestamp, kwargs)

    def series(self, name: str, *, model_id: str = "", **labels: str) -> Series:
        """Handle of one series, for loops that report many numbers: ``mlops.series("loss", fold="3").set(0.2)``."""
        return self._reporter.series(name, model_id, labels)

    def set_kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any = None,
        units: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
    ) -> Self:
        """Report one point of a business KPI, at a time as of ``set_stat``; an equal point again is a revision."""
        self._reporter.kpi(name, data, timestamp, units, labels)
        return self

    def predictions(
        self,
        ids: Any,
        values: Any,
        features: Any = None,
        *,
        outcome: str = "outcome",
        kind: str | None = None,
        model: Any = None,
        timestamp: Any = None,
        units: str | None = None,
    ) -> Self:
        """Report predictions, to be compared with their outcomes once these are known (``actuals``).

        ``ids`` (texts or whole numbers) are unique within ``outcome``, the name of what is predicted. ``values`` are
        numbers, ``kind="score"``: probabilities that the outcome is 1, or classes (texts, or anything with
        ``kind="class"``). ``features``, a frame or a dict of lists, are the inputs to compare segments by. ``model``, a
        ``Model`` or its id, is the current one by default. ``timestamp``, one for all or a list, is as of ``set_stat``.

        MCENTER_COMPONENT_PREDICTIONS_SHARE reports only a share, chosen by the ids; …_LEAVE_OUT and …_HASH name features.
        """
        self._outcomes.predictions(ids, values, features, outcome, kind, model, timestamp, units)
        return self

    def actuals(
        self,
        ids: Any,
        outcomes: Any,
        *,
        outcome: str = "outcome",
        timestamp: Any = None,
        units: str | None = None,
    ) -> Self:
        """Report outcomes that became known: numbers, or classes. Another outcome of the same id is a revision.

        ``timestamp``, one for all or a list, is when they happened. When they became known is when they arrive.
        """
        self._outcomes.actuals(ids, outcomes, outcome, timestamp, units)
        return self

    def set_data_distribution_stat(
        self, data: Any, model: Any = None, timestamp: Any = None, *, units: str | None = None
    ) -> None:
        """Report the distribution of ``data``: a frame, or an array, whose columns are named c0, c1, ….

        At training, pass the ``Model``: histograms and analysis tables are stored with it. At inference the bins come from
        the training of the current model; a heat map, similarity scores and drift measures are added.
        """
        self._models.report_distribution(data, model, timestamp, units)

    @cached_property
    def metrics(self) -> MLOpsMetrics:
        """scikit-learn's metrics: each computes, reports and returns."""
        from parallelm.mlops._metrics import MLOpsMetrics

        return MLOpsMetrics(self.set_stat)

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

        The start is floored to the millisecond, the end rounded up and excluded; if equal, they select one millisecond.
        ``mlapp_node`` (a name) and ``agent`` (an id or ``Agent``) restrict the rows; ``no_of_lines`` limits them to the
        first ones. An unknown statistic gives an empty frame. Columns are ``node, agent`` and, by graph type: a line
        ``time, value``, several lines ``time, <line>…``, bars ``time, hist_type, hist_values, bin_edges, stat_name`` or
        ``time, <column>…``, tables ``time, row_name, values, columns``, opaque data ``time, data``, graphs ``time, <key>…``.
        """
        return self._questions.stats(name, mlapp_node, agent, start_time, end_time, no_of_lines)

    def get_kpi(self, name: str, start_time: Time, end_time: Time) -> pd.DataFrame | None:
        """The latest revision of each point of a KPI in a range of times as in ``get_stats``: ``time, value, labels``."""
        return self._questions.kpi(name, start_time, end_time)

    def get_data_distribution_stats(self, model_id: str) -> pd.DataFrame | None:
        """Training histograms of a model: ``stat_name, hist_type, hist_values, bin_edges, modelId, timestamp``."""
        return self._questions.data_distribution_stats(model_id)

    def event(self, event_obj: Event) -> Self:
        """Report an event."""
        self._events.report(lambda: event_obj)
        return self

    def set_event(
        self,
        name: str | Event,
        type: Any = None,  # noqa: A002 - the public contract's name
        data: Any = None,
        is_alert: bool = False,
        timestamp: Any = None,
        *,
        units: str | None = None,
    ) -> Self:
        """Report an event of a name and type, or an ``Event`` given as ``name``."""
        self._events.named(name, type, data, is_alert, timestamp, units)
        return self

    def data_alert(self, title: str, desc: str | None, data: Any = None) -> Self:
        """Raise an alert about anomalous input."""
        self._events.data_alert(title, desc, data)
        return self

    def health_alert(self, title: str, desc: str | None, data: Any = None) -> Self:
        """Raise an alert about a model's health."""
        self._events.health_alert(title, desc, data)
        return self

    def system_alert(self, title: str, desc: str | None, data: Any = None) -> Self:
        """Raise an alert about the system: memory, files, permissions."""
        self._events.system_alert(title, desc, data)
        return self

    def canary_alert(
        self, title: str, is_healthy: bool, score: float | None, threshold: float | None
    ) -> Self:
        """Report how a canary's predictions compare with the main pipeline's."""
        self._events.canary_alert(title, is_healthy, score, threshold)
        return self

    def get_events(
        self,
        type: Any = None,  # noqa: A002 - the public contract's name
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        is_alert: bool | None = True,
    ) -> pd.DataFrame | None:
        """Events that pass every filter: alerts, with ``is_alert=False`` the others, with None both; None if there are none.

        Columns ``time, type, title, description, alert, data, node, agent, modelId, id``, and
        as on the original platform ``created`` (epoch ms), ``eventType, raiseAlert, host, name, ionName, msgType``.
        """
        return self._questions.events(type, mlapp_node, agent, start_time, end_time, is_alert)

    def Model(  # noqa: N802 - the public contract's name
        self,
        name: str | None = "",
        model_format: models.ModelFormat | str = models.ModelFormat.UNKNOWN,
        description: str | None = "",
        user_defined: Any = None,
    ) -> models.Model:
        """A new model with a fresh id and the annotation ``user_defined``; raises for format UNKNOWN."""
        return self._models.new(name, model_format, description, user_defined)

    def publish_model(self, model: models.Model) -> str:
        """Publish a model whose path is set, and return its id.

        A copy stays in the outbox until a thread has uploaded and announced it; the path may be removed.
        """
        return self._models.publish(model)

    def current_model(self) -> models.Model | None:
        """The model that this component uses: the one it downloaded last, else the one it was started with."""
        return self._models.current()

    def get_last_approved_model(self) -> models.Model | None:
        """The model that this node is to run, with its ``deployment``; None when there is none, and stand-alone.

        Never one that waits for a review, was rejected, failed or was rolled back; a canary only on its agents.
        """
        return self._models.last_approved()

    def wait_for_model(
        self, timeout: float, newer_than: Any = "downloaded", *, histograms: bool = False, **properties: Any
    ) -> models.Model | None:
        """Wait up to ``timeout`` seconds for another model as of ``get_last_approved_model``; None if none comes.

        Other than the one downloaded last, or the Model ``newer_than`` (None: any), unless that is deployed anew; with this
        ``name`` and these ``annotations``; with ``histograms``, once those of its training, which drift needs, are there.
        Ends at ``done()``. Raises ``MLOpsConnectionException`` if the platform is away in the end.
        """
        return self._models.wait_for(timeout, newer_than, histograms, properties)

    def get_models_by_time(
        self, start_time: Time, end_time: Time, download: bool = False, pipeline_name: str | None = None
    ) -> pd.DataFrame | None:
        """Models that the MLApp (or one node or pipeline) published in a range of times, as ``ModelMetadata.to_dict``."""
        return self._questions.models_by_time(start_time, end_time, download, pipeline_name)

    def get_model_by_id(self, model: str | models.Model, download: bool = False) -> pd.DataFrame | None:
        """The model of an id as one row of ``get_models_by_time``; an empty frame for an unknown id."""
        return self._questions.model_by_id(model, download)

    def load_time_capture(self, input_file: str | Path) -> TimeCapture:
        """Load a timeline capture from its tar. Needs pandas, but no platform and no ``init()``. Raises ``MLOpsException``."""
        from parallelm.mlops.time_capture import TimeCapture

        return TimeCapture(input_file)

    def get_mlapp_id(self) -> str:
        """Id of the MLApp; "1" stand-alone."""
        return self._topology.mlapp_id()

    def get_mlapp_name(self) -> str:
        """Name of the MLApp, or its id if it has no definition; "ION_1" stand-alone."""
        return self._topology.mlapp_name()

    def get_mlapp_policy(self) -> Policy | None:
        """Policy of the MLApp; None if it has no definition, and stand-alone."""
        return self._topology.mlapp_policy()

    def get_nodes(self) -> list[MLAppNode]:
        """Nodes of the MLApp; without a definition, this one and those that have reported; none stand-alone."""
        return self._topology.nodes()

    def get_node(self, name: str) -> MLAppNode | None:
        """The node with this name or id; None if there is none."""
        return self._topology.node(name)

    def get_current_node(self) -> MLAppNode:
        """The node that this component runs in; raises ``MLOpsException`` if it is unknown, and stand-alone."""
        return self._topology.current_node()

    def get_agents(self, node_name: str) -> list[Agent]:
        """Agents that run a node or have reported for it, including this one; raises for an unknown node."""
        return self._topology.agents(node_name)

    def get_agent(self, node_name: str, agent_id: str) -> Agent | None:
        """The agent with this id that runs a node; None if there is none."""
        return next((agent for agent in self._topology.agents(node_name) if agent.id == agent_id), None)

    def get_run_id(self) -> str:
        """Id of the run that an agent started this component for, the same over its attempts; "" without an agent."""
        return self._pipelines.run_id()

    def get_runs(
        self,
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        state: str | None = None,
    ) -> pd.DataFrame | None:
        """Runs of the MLApp's nodes by agents, by when they were due; those that were under way in a range of times.

        ``state`` is one of ``waiting, assigned, running, unreachable, stopping, succeeded, failed, stopped, missed, lost``;
        ``reason`` says what a waiting one waits for. Columns: ``run_id, state, reason, due_at, started_at, ended_at,
        duration_ms, attempt, starts, exit_code, trigger, trigger_id, model_id, pipeline_instance_id, who, node, agent``.
        """
        return self._pipelines.runs(mlapp_node, agent, start_time, end_time, state)

    def get_pipeline_models(self, mlapp_node: str | None = None) -> pd.DataFrame | None:
        """Models that the MLApp's pipelines, or those of a node, have produced and consumed, by time.

        Columns: ``role`` (``produced`` or ``consumed``), ``model_id, name, run_id, since, until, node, agent``. ``until`` is
        NaT while a model is used.
        """
        return self._pipelines.models(mlapp_node)

    mlapp_id = property(get_mlapp_id, doc="Id of the MLApp.")
    mlapp_name = property(get_mlapp_name, doc="Name of the MLApp.")
    mlapp_policy = property(get_mlapp_policy, doc="Policy of the MLApp.")
    nodes = property(get_nodes, doc="Nodes of the MLApp.")


mlops = MLOps()
"""The one instance that component code uses."""

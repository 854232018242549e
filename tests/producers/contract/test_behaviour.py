"""What calls return, when they raise, and what objects hold: stand-alone, as nothing else tests it."""

from __future__ import annotations

import json
import logging
import tempfile
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import MLOps, mlops
from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.examples.ab_testing_base import statsCalculator
from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat, ModelMetadata
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatCategory, StatsMode
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

THEN, NOW = datetime(2026, 1, 1), datetime(2026, 1, 2)  # noqa: DTZ001 - components pass naive ones


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MLOps]:
    for name in ("PM_MLOPS_MODE", "MCENTER_EVENT_TIME", "AGENT_PUBLIC_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PM_MLOPS_FILE", str(tmp_path / "lines"))
    found = MLOps()
    found.init()
    yield found
    if found.init_called:
        found.done()


def _lines(tmp_path: Path) -> list[str]:
    return (tmp_path / "lines").read_text().splitlines()


# ---- life cycle -----------------------------------------------------------------------------------------------------

NEEDS_INIT: dict[str, Callable[[MLOps], Any]] = {
    "done": lambda library: library.done(),
    "set_stat": lambda library: library.set_stat("x", 1.0),
    "set_stat of an object": lambda library: library.set_stat(SingleValue().name("x").value(1)),
    "series": lambda library: library.series("x").set(1.0),
    "set_kpi": lambda library: library.set_kpi("k", 1),
    "set_data_distribution_stat": lambda library: library.set_data_distribution_stat([[1]]),
    "event": lambda library: library.event(Event("e")),
    "set_event": lambda library: library.set_event("e", EventType.System),
    "data_alert": lambda library: library.data_alert("t", "d"),
    "health_alert": lambda library: library.health_alert("t", "d"),
    "system_alert": lambda library: library.system_alert("t", "d"),
    "canary_alert": lambda library: library.canary_alert("t", True, 0.1, 0.2),
    "Model": lambda library: library.Model("m", ModelFormat.TEXT),
    "publish_model": lambda library: library.publish_model(None),  # type: ignore[arg-type]
    "current_model": lambda library: library.current_model(),
    "get_last_approved_model": lambda library: library.get_last_approved_model(),
    "get_models_by_time": lambda library: library.get_models_by_time(THEN, NOW),
    "get_model_by_id": lambda library: library.get_model_by_id("m"),
    "get_stats": lambda library: library.get_stats("s", None, None, THEN, NOW),
    "get_kpi": lambda library: library.get_kpi("k", THEN, NOW),
    "get_data_distribution_stats": lambda library: library.get_data_distribution_stats("m"),
    "get_events": lambda library: library.get_events(),
    "get_mlapp_id": lambda library: library.get_mlapp_id(),
    "mlapp_id": lambda library: library.mlapp_id,
    "get_mlapp_name": lambda library: library.get_mlapp_name(),
    "mlapp_name": lambda library: library.mlapp_name,
    "get_mlapp_policy": lambda library: library.get_mlapp_policy(),
    "mlapp_policy": lambda library: library.mlapp_policy,
    "get_nodes": lambda library: library.get_nodes(),
    "nodes": lambda library: library.nodes,
    "get_node": lambda library: library.get_node("n"),
    "get_current_node": lambda library: library.get_current_node(),
    "get_agents": lambda library: library.get_agents("n"),
    "get_agent": lambda library: library.get_agent("n", "a"),
    "get_stats_map": lambda library: library.get_stats_map(),
    "_set_api_test_mode": lambda library: library._set_api_test_mode(),
}


@pytest.mark.parametrize("name", NEEDS_INIT)
def test_a_call_needs_init_and_no_done(library: MLOps, name: str) -> None:
    library.done()
    for closed in (MLOps(), library):
        with pytest.raises(MLOpsException, match=r"Must call init\(\) before using mlops library"):
            NEEDS_INIT[name](closed)


def test_init_and_done_say_what_is_open(library: MLOps, caplog: pytest.LogCaptureFixture) -> None:
    assert (library.init_called, library.done_called) == (True, False)
    with caplog.at_level(logging.WARNING):
        library.init()
    assert "again" in caplog.text
    library.done()
    assert (library.init_called, library.done_called) == (False, True)
    library.init()
    assert (library.init_called, library.done_called) == (True, False)


def test_ids_and_modes_of_a_run() -> None:
    library = MLOps()
    assert library.get_uuid() == library.get_uuid()
    assert library.set_uuid("u-1") is library
    assert library.get_uuid() == "u-1"
    assert library.test_mode is False
    library._set_test_mode(True)
    assert library.test_mode is True


def test_the_accumulator_shows_objects_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PM_MLOPS_MODE", "rest_accumulator")
    library = MLOps()
    library.init()
    library.set_stat("x", 1)
    library.set_stat(MultiLineGraph().name("lines").labels(["a", "b"]).data([1, 2.5]))
    library.set_stat(Table().name("t").cols(["c"]).add_row("r", [1]))
    library.set_stat(BarGraph().name("bars").cols(["a"]).data([3]))
    library.set_kpi("k", 7)
    library.data_alert("an alert", "is no statistic")
    assert library.get_stats_map() == {
        "x": 1,
        "lines": {"a": 1, "b": 2.5},
        "t": {"r": {"c": 1}},
        "bars": {"bars": [{"a": 3}]},
        "k": 7,
    }
    library.done()


# ---- return values --------------------------------------------------------------------------------------------------

RETURN_SELF: list[tuple[Any, dict[str, tuple[Any, ...]]]] = [
    (SingleValue(), {"name": ("n",), "value": (1,), "mode": (StatsMode.Instant,)}),
    (MultiLineGraph(), {"name": ("n",), "labels": (["a"],), "data": ([1],)}),
    (
        Table(),
        {
            "name": ("n",),
            "cols": (["a"],),
            "columns_names": (["a"],),
            "add_row": ("r", [1]),
            "add_rows": ([[2], [3]],),
        },
    ),
    (
        BarGraph(),
        {"name": ("n",), "cols": (["a"],), "columns_names": (["a"],), "data": ([1],), "as_continuous": ()},
    ),
    (
        Graph(),
        {
            "name": ("n",),
            "x_title": ("x",),
            "y_title": ("y",),
            "set_categorical": (),
            "set_continuous": (),
            "set_x_series": ([1],),
            "add_y_series": ("y", [1]),
            "annotate": ("here", 1),
        },
    ),
    (
        MultiGraph(),
        {
            "name": ("n",),
            "x_title": ("x",),
            "y_title": ("y",),
            "set_categorical": (),
            "set_continuous": (),
            "add_series": ([1], [1], "y"),
            "annotate": ("here", None, 2),
        },
    ),
    (Opaque(), {"name": ("n",), "data": ({"a": 1},)}),
    (HTML(), {"name": ("n",), "data": ("<p>",)}),
]


@pytest.mark.parametrize(("statistic", "calls"), RETURN_SELF, ids=lambda value: type(value).__name__)
def test_every_setter_returns_its_statistic(statistic: Any, calls: dict[str, tuple[Any, ...]]) -> None:
    for name, arguments in calls.items():
        assert getattr(statistic, name)(*arguments) is statistic, name


@pytest.mark.parametrize(
    "call",
    [
        lambda library: library.set_kpi("k", 1, 1_356_998_400, KpiValue.TIME_SEC),
        lambda library: library.event(Event("e")),
        lambda library: library.set_event("e", EventType.Health, {"a": 1}, True, NOW),
        lambda library: library.set_event(Event("e")),
        lambda library: library.data_alert("t", "d", [1]),
        lambda library: library.health_alert("t", "d"),
        lambda library: library.system_alert("t", "d"),
        lambda library: library.canary_alert("t", False, 0.5, 0.1),
    ],
)
def test_reports_that_return_the_library(library: MLOps, call: Callable[[MLOps], Any]) -> None:
    assert call(library) is library


# ---- statistics and events ------------------------------------------------------------------------------------------


def test_a_statistic_object_may_stand_for_the_name_or_the_data(library: MLOps, tmp_path: Path) -> None:
    library.set_stat(SingleValue().name("a").value(1))
    library.set_stat("b", SingleValue().name("a").value(1))
    library.set_stat("c", 1, category=StatCategory.CONFIG)
    first, second, third = (line.split(", ", 1)[1] for line in _lines(tmp_path))
    assert first == second == "a, LINEGRAPH, TIME_SERIES, {'a': 1} "
    assert third == "c, LINEGRAPH, INSTANT, {'c': 1} "


@pytest.mark.parametrize(
    ("healthy", "description", "diverged"),
    [
        (True, "Canary Health is Good", ""),
        (False, "Canary prediction distributions diverge with a threshold set to 0.1", "prediction"),
    ],
)
def test_a_canary_alert_says_how_the_predictions_compare(
    library: MLOps, tmp_path: Path, healthy: bool, description: str, diverged: str
) -> None:
    library.canary_alert("canary", healthy, 0.25, 0.1)
    (line,) = _lines(tmp_path)
    number, title, is_alert, said = line.split(", ", 3)
    assert (number, title, is_alert) == ("151", "canary", "True")
    record = json.loads(said)
    assert (record["agent"], record["alert_type"], record["title"]) == ("localhost", 151, "canary")
    assert record["data"] == {
        "type": "canaryPredictionComparison",
        "description": description,
        "isHealthy": healthy,
        "histogramComparison": {
            "threshold": 0.1,
            "attributes": "prediction",
            "scores": 0.25,
            "divergedAttributes": diverged,
        },
    }


def test_kinds_of_alerts_have_their_numbers(library: MLOps, tmp_path: Path) -> None:
    library.data_alert("t", "d").health_alert("t", "d").system_alert("t", "d").event(Event("t"))
    starts = [line.split(", ", 3)[:3] for line in _lines(tmp_path)]
    assert starts == [["52", "t", "True"], ["53", "t", "True"], ["54", "t", "True"], ["0", "t", "False"]]
    assert CanaryAlert("t").is_alert


# ---- environment and topology ---------------------------------------------------------------------------------------


def test_a_policy_shows_its_thresholds() -> None:
    policy = Policy(0.2, 0.5, "MANUAL")
    assert str(policy).startswith("Policy:\nhealthThreshold: 0.2\ncanaryThreshold: 0.5\n")
    assert (policy.health_threshold, policy.canary_threshold, policy.model_policy) == (0.2, 0.5, "MANUAL")


def test_nodes_and_agents_have_their_fields() -> None:
    node = MLAppNode()
    for name in ("name", "id", "pipeline_pattern_id", "pipeline_agent_set", "ee_id", "pipeline_instance_id"):
        assert hasattr(node, name)
    assert (hasattr(Agent(), "id"), hasattr(Agent(), "hostname")) == (True, True)


def test_stand_alone_nothing_that_the_agent_sets_is_needed_or_in_the_way(
    library: MLOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.done()
    for name in (
        "PM_WORKFLOW_INSTANCE_ID",
        "PM_WORKFLOW_NODE_ID",
        "PM_PIPELINE_INSTANCE_ID",
        "PM_MLOPS_MODEL_ID",
        "PM_MLOPS_DATA_REST_SERVER",
        "PM_MLOPS_DATA_REST_PORT",
        "PM_MLOPS_USER_TOKEN",
    ):
        monkeypatch.setenv(name, "3")
    library.init(mlops_mode=MLOpsMode.STAND_ALONE)
    assert (library.get_mlapp_id(), library.get_mlapp_name()) == ("1", "ION_1")
    assert library.current_model() is None
    with pytest.raises(MLOpsException):
        library.get_current_node()


# ---- models ---------------------------------------------------------------------------------------------------------


def test_a_model_is_its_id(library: MLOps) -> None:
    model, other = (library.Model("m", ModelFormat.TEXT, "d") for _ in range(2))
    assert model.get_id() != other.get_id()
    assert model != other
    other.metadata.modelId = model.get_id()
    assert model == other
    assert model.get_model_path() is None
    assert model.get_annotations() == {}
    model.set_annotations({"a": [1, "b"]})
    assert model.get_annotations() == {"a": [1, "b"]}
    with pytest.raises(MLOpsException):
        library.Model("m")


def test_what_is_known_of_a_model_stands_under_the_names_of_the_columns() -> None:
    known = ModelMetadata("m1", "m", ModelFormat.PMML, description="d")
    assert (known.modelId, known.name, known.model_format, known.description) == (
        "m1",
        "m",
        ModelFormat.PMML,
        "d",
    )
    for name in [
        "annotations",
        "size",
        "owner",
        "train_version",
        "model_version",
        "active",
        "created_on",
        "flag_values",
    ]:
        assert hasattr(known, name)
    assert list(known.to_dict()) == [
        "id",
        "name",
        "format",
        "modelVersion",
        "trainVersion",
        "size",
        "owner",
        "createdOn",
        "flagValues",
        "annotations",
        "active",
        "description",
    ]


def test_the_size_of_a_model_is_known_with_its_path(library: MLOps, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"12345")
    model = library.Model("m", ModelFormat.BINARY)
    model.set_model_path(path=str(tmp_path / "m"))
    assert model.metadata.size == 5
    assert model.get_model_path() == str(tmp_path / "m")


@pytest.mark.parametrize("wanted", ModelFormat)
def test_a_format_is_a_file_or_a_directory(library: MLOps, tmp_path: Path, wanted: ModelFormat) -> None:
    if wanted is ModelFormat.UNKNOWN:
        return
    (tmp_path / "file").write_text("m")
    (tmp_path / "folder").mkdir()
    directories = {ModelFormat.SAVEDMODEL, ModelFormat.SPARKML, ModelFormat.MLFLOW}
    right, wrong = ("folder", "file") if wanted in directories else ("file", "folder")
    for bad in (wrong, "nothing"):
        model = library.Model("m", wanted)
        model.set_model_path(tmp_path / bad)
        with pytest.raises(MLOpsException):
            library.publish_model(model)
    model = library.Model("m", wanted)
    model.set_model_path(tmp_path / right)
    assert library.publish_model(model) == model.get_id()


def test_what_is_published_stand_alone_is_gone_after_done(
    library: MLOps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    (tmp_path / "m").write_text("m")
    model = library.Model("m", ModelFormat.TEXT)
    model.set_model_path(tmp_path / "m")
    library.publish_model(model)
    assert list((tmp_path / "system").iterdir())
    library.done()
    assert not list((tmp_path / "system").iterdir())


def test_everything_that_is_reported_through_a_model_carries_its_id() -> None:
    np = pytest.importorskip("numpy")
    with capture() as reported:
        model = mlops.Model("m", ModelFormat.TEXT)
        model.set_stat("x", 1.0)
        model.set_stat(Table().name("t").cols(["a"]).add_row([1]))
        model.set_kpi("k", 2.0)
        model.set_data_distribution_stat(np.array([[1.0, 2.0], [3.0, 4.0]]))
        model.feature_importance([0.1, 0.2], ["a", "b"])
    ids = {sample.model_id for sample in reported.samples} | {point.model_id for point in reported.kpis}
    ids |= {structured.model_id for structured in reported.structured}
    assert ids == {model.get_id()}
    assert len(reported.structured) == 4


class _Fitted:
    feature_importances_ = (0.2, 0.9, 0.1)


class _Frame:
    columns = ("a", "b", "c")


@pytest.mark.parametrize(
    ("arguments", "bars"),
    [
        (
            {"feature_importance_vector": [3, 1, 2], "feature_names": ["a", "b", "c"]},
            {"a": 3, "c": 2, "b": 1},
        ),
        ({"model": _Fitted(), "df": _Frame()}, {"b": 0.9, "a": 0.2, "c": 0.1}),
        ({"model": _Fitted, "feature_names": ["x", "y", "z"], "num_significant_features": 1}, {"y": 0.9}),
        (
            {"feature_importance_vector": list(range(10)), "feature_names": list("abcdefghij")},
            dict(zip("jihgfedc", range(9, 1, -1), strict=True)),
        ),
    ],
)
def test_the_most_significant_features_become_bars(arguments: dict[str, Any], bars: dict[str, float]) -> None:
    with capture() as reported:
        mlops.Model("m", ModelFormat.TEXT).feature_importance(**arguments)
    (graph,) = reported.structured
    assert (graph.name, graph.graph_type) == ("Feature Importance", "BARGRAPH")
    (found,) = json.loads(graph.data).values()
    assert [(name, height) for bar in found for name, height in bar.items()] == list(bars.items())


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"feature_importance_vector": [1]},
        {"feature_names": ["a"]},
        {"model": _Fitted()},
        {"feature_importance_vector": [1, 2], "feature_names": ["a"]},
        {"model": object(), "feature_names": ["a"]},
    ],
)
def test_importances_without_names_or_numbers_are_refused(library: MLOps, arguments: dict[str, Any]) -> None:
    with pytest.raises(MLOpsException):
        library.Model("m", ModelFormat.TEXT).feature_importance(**arguments)


# ---- comparators ----------------------------------------------------------------------------------------------------


def test_an_ab_test_may_be_computed_step_by_step() -> None:
    statistics = pytest.importorskip("statsmodels.stats.proportion")
    calculator = statsCalculator()
    with pytest.raises(MLOpsException):
        calculator.calConfidence()
    calculator.exptOutcome(80000, 1600, 80000, 1700, 95)
    _, p = statistics.proportions_ztest([1700, 1600], [80000, 80000], alternative="larger")
    assert calculator.calConfidence() == pytest.approx(100 * (1 - p))
    assert (calculator.calSuccess(95), calculator.calSuccess(99)) == (True, False)
    with pytest.raises(MLOpsException):
        calculator.exptOutcome(80000, 1600, 80000, 1700, 80)
    with pytest.raises(MLOpsException):
        calculator.exptOutcome(0, 0, 80000, 1700, 95)

"""What needs ``init()``, what ``done()`` ends, and what is known of a run: stand-alone, as nothing else tests it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import MLOps
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

THEN, NOW = datetime(2026, 1, 1), datetime(2026, 1, 2)  # noqa: DTZ001 - components pass naive ones

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
    "wait_for_model": lambda library: library.wait_for_model(0),
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

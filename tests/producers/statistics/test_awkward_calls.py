"""Every public call, given any value anywhere: what comes out is the report, or ``MLOpsException``."""

from __future__ import annotations

import datetime as dt
import logging
import pickle
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import StatCategory, Versions, mlops
from parallelm.mlops.common.string_ops import mask_passwords
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_broker import EventBroker
from parallelm.mlops.events.event_filter import EventFilter
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.examples.ab_testing_base import ab_test
from parallelm.mlops.examples.canary_comparator_base import canary_comparator
from parallelm.mlops.mlops_exception import MLOpsException, SuppressException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat, ModelMetadata
from parallelm.mlops.packer import DirectoryPack
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.testing import capture
from tests.producers.statistics.awkward_values import awkward_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from parallelm.mlops.testing import Captured

T0 = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def _model() -> Any:
    return mlops.Model("m", ModelFormat.TEXT)


def _with(event: Event, **attributes: Any) -> Event:
    for name, value in attributes.items():
        setattr(event, name, value)
    return event


CALLS: dict[str, Callable[[Any], object]] = {
    "set_stat name": lambda x: mlops.set_stat(x, 1),
    "set_stat data": lambda x: mlops.set_stat("n", x),
    "set_stat both": lambda x: mlops.set_stat(x, x),
    "set_stat category": lambda x: mlops.set_stat("n", 1, x),
    "set_stat timestamp": lambda x: mlops.set_stat("n", 1, timestamp=x),
    "set_stat units": lambda x: mlops.set_stat("n", 1, timestamp=1, units=x),
    "set_stat unknown": lambda x: mlops.set_stat("n", 1, StatCategory.CONFIG, other=x),
    "series": lambda x: mlops.series("n", model_id=x),
    "series name": mlops.series,
    "series label": lambda x: mlops.series("n", label=x),
    "series set": lambda x: mlops.series("n").set(x),
    "set_kpi name": lambda x: mlops.set_kpi(x, 1),
    "set_kpi data": lambda x: mlops.set_kpi("k", x),
    "set_kpi timestamp": lambda x: mlops.set_kpi("k", 1, x),
    "set_kpi timestamp of units": lambda x: mlops.set_kpi("k", 1, x, KpiValue.TIME_SEC),
    "set_kpi units": lambda x: mlops.set_kpi("k", 1, 1, x),
    "set_kpi labels": lambda x: mlops.set_kpi("k", 1, labels=x),
    "set_kpi label": lambda x: mlops.set_kpi("k", 1, labels={"a": x}),
    "event_time": lambda x: mlops.event_time(x).__enter__(),
    "event": mlops.event,
    "set_event name": lambda x: mlops.set_event(x, EventType.Data),
    "set_event no type": mlops.set_event,
    "set_event type": lambda x: mlops.set_event("e", x),
    "set_event data": lambda x: mlops.set_event("e", EventType.Data, x),
    "set_event data within": lambda x: mlops.set_event("e", EventType.Data, {"a": [x]}),
    "set_event is_alert": lambda x: mlops.set_event("e", EventType.Data, is_alert=x),
    "set_event timestamp": lambda x: mlops.set_event("e", EventType.Data, timestamp=x),
    "Event attributes": lambda x: mlops.event(
        _with(Event("e"), type=x, data=x, is_alert=x, timestamp=x, label=x)
    ),
    "Event model_id": lambda x: mlops.event(_with(Event("e"), model_id=x)),
    "Event description": lambda x: mlops.event(Event("e", x)),
    "data_alert title": lambda x: mlops.data_alert(x, "d"),
    "health_alert desc": lambda x: mlops.health_alert("t", x),
    "system_alert data": lambda x: mlops.system_alert("t", "d", x),
    "canary_alert title": lambda x: mlops.canary_alert(x, True, 0.5, 0.5),
    "canary_alert is_healthy": lambda x: mlops.canary_alert("t", x, 0.5, 0.5),
    "canary_alert score": lambda x: mlops.canary_alert("t", False, x, 0.5),
    "Opaque": lambda x: mlops.set_stat(Opaque().data(x)),
    "HTML": lambda x: mlops.set_stat("n", HTML().data(x)),
    "set_data_distribution_stat": mlops.set_data_distribution_stat,
    "set_data_distribution_stat model": lambda x: mlops.set_data_distribution_stat(x, x, x),
    "Model name": lambda x: mlops.Model(x, ModelFormat.TEXT),
    "Model format": lambda x: mlops.Model("m", x),
    "Model description": lambda x: mlops.Model("m", ModelFormat.TEXT, x),
    "Model user_defined": lambda x: mlops.Model("m", ModelFormat.TEXT, "", x),
    "Model set_annotations": lambda x: _model().set_annotations(x),
    "Model annotation": lambda x: _model().set_annotations({"a": x}),
    "Model set_model_path": lambda x: _model().set_model_path(x),
    "Model ==": lambda x: _model() == x,
    "Model set_stat": lambda x: _model().set_stat(x, x),
    "Model set_kpi": lambda x: _model().set_kpi(x, x, x),
    "Model feature_importance": lambda x: _model().feature_importance(x, ["a", "b"]),
    "Model feature_importance names": lambda x: _model().feature_importance([1, 2], x),
    "Model feature_importance model": lambda x: _model().feature_importance(None, ["a", "b"], x),
    "Model feature_importance coef_": lambda x: _model().feature_importance(
        None, ["a", "b"], SimpleNamespace(coef_=x)
    ),
    "Model feature_importance df": lambda x: _model().feature_importance([1, 2], df=x),
    "Model feature_importance count": lambda x: _model().feature_importance(
        [1, 2], ["a", "b"], num_significant_features=x
    ),
    "ModelMetadata": lambda x: ModelMetadata(x, x, x),
    "ModelMetadata format": lambda x: ModelMetadata("i", "n", x),
    "ModelFormat.from_str": ModelFormat.from_str,
    "publish_model": mlops.publish_model,
    "get_stats name": lambda x: mlops.get_stats(x, None, None, T0, T0),
    "get_stats": lambda x: mlops.get_stats("n", x, x, T0, T0, x),
    "get_stats agent": lambda x: mlops.get_stats("n", "node", x, T0, T0),
    "get_stats times": lambda x: mlops.get_stats("n", None, None, x, T0),
    "get_kpi": lambda x: mlops.get_kpi(x, T0, x),
    "get_events type": mlops.get_events,
    "get_events": lambda x: mlops.get_events(None, x, x, None, x, x),
    "EventBroker": lambda x: EventBroker(mlops).get_events(x),
    "EventBroker send": lambda x: EventBroker(mlops).send_event(x),
    "EventFilter": lambda x: EventBroker(mlops).get_events(EventFilter(type=x, is_alert=x)),
    "get_models_by_time": lambda x: mlops.get_models_by_time(x, T0),
    "get_models_by_time pipeline": lambda x: mlops.get_models_by_time(T0, T0, x, x),
    "get_model_by_id": lambda x: mlops.get_model_by_id(x, x),
    "get_data_distribution_stats": mlops.get_data_distribution_stats,
    "get_node": mlops.get_node,
    "get_agents": mlops.get_agents,
    "get_agent": lambda x: mlops.get_agent(x, x),
    "init version": lambda x: mlops.init(version=x),
    "init mode": lambda x: mlops.init(mlops_mode=x),
    "init connect": lambda x: mlops.init(connect_mlops=x),
    "attach": mlops.attach,
    "set_uuid": lambda x: mlops.set_uuid(x).get_uuid(),
    "suppress_connection_errors": mlops.suppress_connection_errors,
    "set_suppress": SuppressException.set_suppress,
    "_set_test_mode": mlops._set_test_mode,
    "MLOpsMode.from_str": MLOpsMode.from_str,
    "Versions.check": Versions.check,
    "mask_passwords": mask_passwords,
    "mask_passwords within": lambda x: mask_passwords({"a": [x], "password": x}),
    "DirectoryPack": DirectoryPack,
    "pack": lambda x: DirectoryPack().pack(x),
    "load_time_capture": mlops.load_time_capture,
    "canary_comparator mode": lambda x: canary_comparator(SimpleNamespace(nodeA="a", nodeB="b"), T0, T0, x),
    "canary_comparator options": lambda x: canary_comparator(x, T0, T0),
    "canary_comparator nodeA": lambda x: canary_comparator(SimpleNamespace(nodeA=x, nodeB=x), T0, T0),
    "ab_test confidence": lambda x: ab_test(SimpleNamespace(nodeA="a", nodeB="b", confidence=x), T0, T0),
    "ab_test": lambda x: ab_test(x, x, x),
}


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    monkeypatch.chdir(tmp_path)
    with capture() as captured:
        yield captured
    SuppressException.set_suppress(False)


@pytest.mark.parametrize("call", CALLS)
def test_only_the_library_s_own_exception_comes_out(
    call: str, reported: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for index, value in enumerate(awkward_values()):
        try:
            CALLS[call](value)
        except MLOpsException as error:
            str(error).encode()
        except Exception as error:  # noqa: BLE001 - the failure names the value, whose repr may raise
            pytest.fail(f"value {index}, a {type(value)}: {type(error).__name__}")
    pickle.dumps(reported)  # nothing of the caller's is left inside what is reported


def test_a_call_that_is_refused_leaves_the_library_open(reported: Captured) -> None:
    for value in awkward_values():
        with suppress(MLOpsException):
            mlops.set_stat("n", value)
    mlops.set_stat("after", 1)
    assert reported.values("after") == [1.0]

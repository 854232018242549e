"""``parallelm.mlops.testing``: users' own tests, without a broker."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table
from parallelm.mlops.testing import Sample, capture

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_a_component_reports_is_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.txt"
    path.write_text("weights")
    with capture() as reported:
        mlops.init()
        with mlops.event_time("2013-01-01"):
            mlops.set_stat("rows", 3)
            mlops.set_stat(MultiLineGraph().name("lines").labels(["a", "b"]).data([1, 2.5]))
            mlops.set_stat(Table().name("table").cols(["x"]).add_row([1]))
            mlops.set_kpi("on-time", 0.5, labels={"carrier": "UA"})
            mlops.data_alert("alert", "words")
            model = mlops.Model("m", ModelFormat.TEXT)
            model.set_model_path(path)
            mlops.publish_model(model)
            model.set_stat("auc", 0.75)
            mlops.series("loss", fold="3").set(0.25)
        mlops.done()
    assert reported.samples[0] == Sample(
        name="rows",
        value=3.0,
        time_ms=1_356_998_400_000,
        labels={},
        model_id="",
        category="TIME_SERIES",
        graph_type="LINEGRAPH",
    )
    assert reported.values("lines") == [1.0, 2.5]
    assert reported.values("lines", line="b") == [2.5]
    assert reported.values("loss", fold="3") == [0.25]
    assert reported.samples[-2].model_id == model.get_id()
    assert [one.name for one in reported.structured] == ["table"]
    assert [(point.name, point.value) for point in reported.kpis] == [("on-time", 0.5)]
    assert [event.title for event in reported.events] == ["alert"]
    assert [(one.model_id, one.size_bytes) for one in reported.models] == [(model.get_id(), 7)]
    assert not capsys.readouterr().out
    assert not mlops.init_called


def test_done_closes_and_init_opens_again() -> None:
    with capture() as reported:
        mlops.set_stat("open", 1)
        mlops.done()
        with pytest.raises(MLOpsException, match="init"):
            mlops.set_stat("closed", 1)
        mlops.init()
        mlops.set_stat("again", 1)
    assert [sample.name for sample in reported.samples] == ["open", "again"]


def test_a_wrong_version_or_mode_is_refused_in_a_capture_too() -> None:
    with capture():
        for options in ({"version": "0.0.9"}, {"mlops_mode": "nowhere"}):
            with pytest.raises(MLOpsException):
                mlops.init(**options)
        mlops.set_stat("still open", 1)


def test_what_a_captured_component_says_of_the_library_ends_with_the_capture() -> None:
    mlops.init()
    try:
        with capture() as reported:
            mlops._set_api_test_mode()
            mlops.done()
            assert mlops.done_called
            mlops.init()
            mlops.set_stat("captured", 1)
        assert (mlops.init_called, mlops.done_called) == (True, False)
        assert not mlops._session.opened().validates_only
        assert reported.values("captured") == [1.0]
    finally:
        mlops.done()


def test_captures_nest_and_see_all_threads() -> None:
    with capture() as outer:
        mlops.set_stat("outer", 1)
        with capture() as inner:
            thread = threading.Thread(target=lambda: mlops.set_stat("inner", 1.0))
            thread.start()
            thread.join()
        mlops.set_stat("outer", 2)
    assert inner.values("inner") == [1.0]
    assert outer.values("outer") == [1.0, 2.0]
    assert outer.values("inner") == []


def test_a_kpi_value_is_a_point_of_its_own_time() -> None:
    with capture() as reported:
        mlops.set_stat(KpiValue("on-time", 3, 1_356_998_400, KpiValue.TIME_SEC))
    (point,) = reported.kpis
    assert (point.name, point.value, point.timestamp_ms) == ("on-time", 3.0, 1_356_998_400_000)
    assert not reported.samples


def test_a_component_of_any_mode_is_captured() -> None:
    for options in ({"mlops_mode": "agent", "connect_mlops": True}, {"connect_mlops": True}, {}):
        with capture() as reported:
            mlops.init(**options)
            assert mlops.get_mlapp_id() == "1"
            mlops.set_stat("x", 1.0)
            mlops.done()
        assert reported.values("x") == [1.0]


def test_the_event_time_of_the_environment_holds_in_the_capture_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCENTER_EVENT_TIME", "2013-01-01")
    with capture() as outer:
        with capture() as reported:
            mlops.init()
            mlops.set_stat("past", 1.0)
            monkeypatch.delenv("MCENTER_EVENT_TIME")
            mlops.done()
            mlops.init()
            mlops.set_stat("now", 1.0)
        mlops.set_stat("past", 2.0)
    past, now = reported.samples
    assert past.time_ms == outer.samples[0].time_ms == 1_356_998_400_000
    assert now.time_ms > 1_700_000_000_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_that_leaves_the_capture_reports_as_before() -> None:
    with capture() as outer:
        with capture() as inner:
            mlops.set_stat("inner", 1.0)
            child = os.fork()
        mlops.set_stat("outer", 1.0)
        if child == 0:
            os._exit(0 if (len(inner.samples), len(outer.samples)) == (1, 1) else 1)
        assert os.waitpid(child, 0)[1] == 0

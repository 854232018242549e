"""A capture answers as the MLApp did."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from parallelm.mlops import MLOps, mlops
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.mlops_exception import MLOpsException
from tests.producers.time_capture.captures import (
    AGGREGATES,
    EVENTS,
    GRAPH,
    INFER,
    SYSTEM,
    TRAIN,
    at,
    statistic,
    statistics,
    whole_capture,
    write_tar,
)

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.mlops.time_capture import TimeCapture

T0 = datetime(2018, 8, 9, 8, 30, 38, 520_000, tzinfo=UTC)
COLUMNS = ["Name", "time", "datetime", "keys", "values", "FileName"]


def stats(capture: TimeCapture, name: str, **more: Any) -> pd.DataFrame:
    found = capture.get_stats(name, **more)
    assert found is not None
    assert list(found.columns) == COLUMNS
    return found


def test_the_mlapp_is_told(capture: TimeCapture) -> None:
    assert capture.get_mlapp_id() == "app-1"
    assert capture.get_mlapp_policy() == "ALWAYS_UPDATE"
    assert capture.get_nodes() == ["pipe-train", "pipe-infer"]
    assert set(capture.get_file_names()) == set(whole_capture())


def test_names_of_all_statistics_and_of_histograms_reported_together(capture: TimeCapture) -> None:
    names = capture.get_attribute_names_list()
    together = {"categoricalDataHistogram", "carrier", "day"}
    others = {"distance", "pipelinestat.WSSER", "confusion", "lift", "delay", "blob", "page"}
    of_infer = {"pipelinestat.count", "latency", "dataheatmap", "PredictionHistogram"}
    assert len(names) == len(set(names))
    assert set(names) == together | others | of_infer


@pytest.mark.parametrize(
    ("name", "keys", "values"),
    [
        ("pipelinestat.count", ["pipelinestat.count"], [30000]),
        ("pipelinestat.WSSER", ["pipelinestat.WSSER"], [10582779.934606798]),
        ("latency", ["median", "worst"], [12.5, 81]),
        ("dataheatmap", ["distance", "pressure"], [0.5066, 0.4944]),
        ("PredictionHistogram", ["0", "1"], [0.25, 0.75]),
        ("confusion", ["0", "1"], [{"0": 5, "1": 1}, {"0": 2, "1": 7}]),
        ("lift", list(GRAPH), list(GRAPH.values())),
        ("delay", ["delay"], [12.5]),
        ("blob", ["blob"], ["gASVCg=="]),
        ("page", ["page"], ["<p>hello, world</p>"]),
        ("day", ["Mon"], [1.0]),
    ],
)
def test_every_graph_type_has_its_keys_and_values(
    capture: TimeCapture, name: str, keys: list[Any], values: list[Any]
) -> None:
    found = stats(capture, name)
    assert (found["Name"] == name).all()
    assert found["keys"][0] == keys
    assert found["values"][0] == values


def test_rows_of_all_files_come_in_order_of_time(capture: TimeCapture) -> None:
    found = stats(capture, "distance")
    assert list(found["FileName"]) == [INFER, TRAIN]
    found = stats(capture, "pipelinestat.count")
    assert list(found["values"]) == [[30000], [60000]]
    assert list(found["time"]) == [at(10), at(20)]
    assert found["time"].dtype == "int64"
    assert found["datetime"][0] == pd.Timestamp("2018-08-09 08:30:48.52")


def test_histograms_reported_together_are_found_by_both_names(capture: TimeCapture) -> None:
    found = stats(capture, "categoricalDataHistogram")
    assert list(found["Name"]) == ["carrier", "day"]
    assert list(found["keys"]) == [["UA", "B6"], ["Mon"]]


def test_every_filter_of_get_stats_is_applied(capture: TimeCapture) -> None:
    count = "pipelinestat.count"
    later = T0 + timedelta(seconds=15)
    assert list(stats(capture, count, start_time=later)["values"]) == [[60000]]
    assert list(stats(capture, count, end_time=later.replace(tzinfo=None))["values"]) == [[30000]]
    assert list(stats(capture, count, no_of_lines=1)["values"]) == [[60000]]
    assert list(stats(capture, "distance", mlapp_node="pipe-train")["FileName"]) == [TRAIN]
    assert list(stats(capture, "distance", agent="host-b")["FileName"]) == [INFER]
    assert stats(capture, "distance", agent="host-z").empty
    assert stats(capture, "never reported").empty
    assert capture.get_stats(count, api_test_mode=True) is None


def test_wrong_arguments_are_refused(capture: TimeCapture) -> None:
    with pytest.raises(MLOpsException, match="must be a string, not int"):
        capture.get_stats(1)  # type: ignore[arg-type]
    with pytest.raises(MLOpsException, match="is after the end"):
        capture.get_stats("distance", start_time=T0, end_time=T0 - timedelta(seconds=1))
    with pytest.raises(MLOpsException, match="no node 'pipe-9'; it has: pipe-infer, pipe-train"):
        capture.get_stats("distance", mlapp_node="pipe-9")
    with pytest.raises(MLOpsException, match="an agent must be"):
        capture.get_stats("distance", agent=3)  # type: ignore[arg-type]
    with pytest.raises(MLOpsException, match="does not contain the nodes of events"):
        capture.get_events(mlapp_node="pipe-train")


def test_kpis(capture: TimeCapture) -> None:
    assert list(capture.get_kpi("delay")["values"]) == [[12.5], [11.5]]
    first = T0 + timedelta(seconds=4)
    assert capture.get_kpi("delay", T0, first).empty
    assert list(capture.get_kpi("delay", T0, first + timedelta(microseconds=1))["values"]) == [[12.5]]
    assert list(capture.get_kpi("delay", first, first)["values"]) == [[12.5]]
    assert list(capture.get_kpi("delay", first, first + timedelta(seconds=5))["values"]) == [[12.5]]
    assert capture.get_kpi("pipelinestat.count").empty


def events(capture: TimeCapture, *given: Any, **more: Any) -> list[str]:
    found = capture.get_events(*given, **more)
    assert found is not None
    return list(found["eventType"])


def test_events_come_all_unless_a_filter_says_which(capture: TimeCapture) -> None:
    assert events(capture) == ["GenericEvent", "Model", "Alert", "ModelAccepted"]
    assert events(capture, is_alert=True) == ["Alert"]
    assert events(capture, is_alert=False) == ["GenericEvent", "Model", "ModelAccepted"]
    assert events(capture, "Model") == ["Model"]
    assert events(capture, EventType.Health) == []
    assert events(capture, agent="host-b") == ["Alert", "ModelAccepted"]
    assert events(capture, start_time=T0 + timedelta(seconds=5), end_time=T0 + timedelta(seconds=15)) == [
        "Model"
    ]
    day = pd.Period("2018-08-09", "D")
    for start, end in ((day.start_time, day.end_time), (T0.date(), "2018-08-10")):
        assert len(events(capture, start_time=start, end_time=end)) == 4
    with pytest.raises(MLOpsException, match="the number 1533803438 is not a side of a range"):
        capture.get_events(start_time=1_533_803_438)  # type: ignore[arg-type]
    assert capture.get_events(api_test_mode=True) is None


def test_events_keep_their_texts_and_times(capture: TimeCapture) -> None:
    found = capture.get_events()
    assert found is not None
    assert found["event"][1] == "Model: 'm' generated, by \"train\"\nsecond line"
    assert found["host"][0] == ""
    assert found["time"][1] == at(5)
    assert found["createdTime"][1] == at(5) // 1_000_000
    assert found["datetime"][1] == pd.Timestamp("2018-08-09 08:30:43.52")


def test_frames_by_file(capture: TimeCapture) -> None:
    assert list(capture.get_matrix_df_file()) == [TRAIN]
    assert list(capture.get_matrix_df_file()[TRAIN]["Name"]) == ["confusion"]
    assert list(capture.get_multigraph_df_file()[TRAIN]["Name"]) == ["lift"]
    system = capture.get_sys_stat_df_file()[SYSTEM]
    assert system["executionCpuTime"].tolist() == [322776147]
    assert system["agentName"].tolist() == ["host-a"]
    aggregates = capture.get_aggregate_df_file()[AGGREGATES]
    assert aggregates["ionName"].tolist() == ["My App"]
    assert aggregates["totalPredictions"].tolist() == [30000.0]
    assert aggregates["datetime"].tolist() == [pd.Timestamp("2018-08-09 08:30:39.52")]


def test_the_originals_and_each_kind_of_graph_are_saved(capture: TimeCapture, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    capture.save_to_output(target)
    written = {file.name for file in target.iterdir()}
    of_train = {
        f"{TRAIN}_{part}.csv" for part in ("bargraph", "multilinegraph", "multigraph", "matrix", "KPI")
    }
    of_infer = {f"{INFER}_{part}.csv" for part in ("bargraph", "multilinegraph", "heatmap")}
    assert written == set(whole_capture()) | of_train | of_infer
    assert (target / EVENTS).read_bytes() == whole_capture()[EVENTS].encode()
    lines = pd.read_csv(target / f"{INFER}_multilinegraph.csv")
    assert list(lines.columns) == COLUMNS
    assert list(lines["Name"]) == ["pipelinestat.count", "pipelinestat.count", "latency"]
    assert lines["values"][2] == "[12.5, 81]"


def test_calls_that_need_a_live_system_say_so(capture: TimeCapture) -> None:
    for call in (
        "set_stat",
        "set_event",
        "publish_model",
        "get_models_by_time",
        "get_agents",
        "get_node",
        "init",
    ):
        with pytest.raises(MLOpsException, match=f"{call} is not available"):
            getattr(capture, call)("x", y=1)
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        capture.nothing_like_it()  # type: ignore[attr-defined]


def test_done_removes_the_files_and_keeps_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = tmp_path / "temporary"
    unpacked.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
    capture = mlops.load_time_capture(write_tar(tmp_path / "c.tar", whole_capture()))
    assert len(list(unpacked.iterdir())) == 1
    capture.done()
    capture.done()
    assert not list(unpacked.iterdir())
    assert not stats(capture, "distance").empty
    with pytest.raises(MLOpsException, match=r"removed by done"):
        capture.save_to_output(tmp_path / "out")


def test_a_capture_that_nobody_closes_removes_its_files_at_the_end(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "c.tar", whole_capture())
    unpacked = tmp_path / "temporary"
    unpacked.mkdir()
    program = f"from parallelm.mlops import mlops\nc = mlops.load_time_capture(input_file={str(archive)!r})"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, env={"TMPDIR": str(unpacked), "PATH": ""}
    )
    assert not list(unpacked.iterdir())


def test_compressed_captures_and_those_of_the_last_original_versions(tmp_path: Path) -> None:
    files = whole_capture()
    del files["ion-details.txt"]
    files["MLApp-details.txt"] = (
        '{"WorkflowID":"app-2","modelPolicy":"MANUAL","pipelineInstances":[{"pipelineInstanceId":"pipe-train",'
        '"pipelineName":"my training","pipelineType":"MODEL_PRODUCER"}]}'
    )
    capture = mlops.load_time_capture(write_tar(tmp_path / "c.tar.gz", files, mode="w:gz"))
    assert (capture.get_mlapp_id(), capture.get_mlapp_policy()) == ("app-2", "MANUAL")
    assert capture.get_nodes() == [["pipe-train", "MODEL_PRODUCER", "my training"]]
    assert len(stats(capture, "distance", mlapp_node="pipe-train")) == 1
    capture.done()


def test_fields_longer_than_the_csv_module_takes_by_itself(tmp_path: Path) -> None:
    bars = [{f"category {index}": 0.1} for index in range(20_000)]
    files = whole_capture() | {TRAIN: statistics(statistic(0, "BARGRAPH", "wide", {"wide": bars}))}
    capture = mlops.load_time_capture(write_tar(tmp_path / "c.tar", files))
    assert len(stats(capture, "wide")["keys"][0]) == 20_000
    capture.done()


def test_the_library_knows_captures_only_when_one_is_loaded() -> None:
    program = (
        "import sys, parallelm.mlops; print([m for m in sys.modules if 'time_capture' in m or m == 'pandas'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert callable(MLOps.load_time_capture)

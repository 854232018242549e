"""Where the contract is short: what components of the original library pass and expect, each under the line it belongs to."""

from __future__ import annotations

import json
from ast import literal_eval
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from parallelm.connections import Settings
from parallelm.mlops import Constants, MLOps, project_name
from parallelm.mlops._questions.frames import events_frame, samples_frame, structured_frame
from parallelm.mlops._questions.platform import Platform
from parallelm.mlops._session.environment import ComponentEnvironment
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.events.health_alert import HealthAlert
from parallelm.mlops.examples import utils
from parallelm.mlops.ion.ion import Agent
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.mlops.stats._statistic import Statistic


class Printing(MLOps):
    """Stand-alone, with what it printed at hand."""

    file: Path

    def last(self) -> str:
        return self.file.read_text().splitlines()[-1]

    def data(self) -> Any:
        """What the last line holds."""
        text = self.last().split(", ", 4)[4]
        return eval(text, {"OrderedDict": OrderedDict})  # noqa: S307 - our own line


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Printing]:
    for name in ("PM_MLOPS_MODE", "MCENTER_EVENT_TIME", "AGENT_PUBLIC_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PM_MLOPS_FILE", str(tmp_path / "lines"))
    found = Printing()
    found.file = tmp_path / "lines"
    found.init()
    yield found
    found.done()


# ---- 2: statistic objects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (MultiLineGraph().labels({"a": 1, "b": 2}.keys()).data({"a": 1, "b": 2}.values()), {"a": 1, "b": 2}),
        (MultiLineGraph().labels(map(str, [7, 8])).data(x / 2 for x in (1, 2)), {"7": 0.5, "8": 1.0}),
        (BarGraph().name("b").cols(map(str, np.array([0, 1]))).data([3, 4]), {"b": [{"0": 3}, {"1": 4}]}),
        (Table().cols(filter(None, ["a", ""])).add_row("r", {"x": 1}.values()), {"r": {"a": 1}}),
    ],
)
def test_what_was_a_list_in_their_day_is_taken_as_one(
    library: Printing, statistic: Statistic, expected: Any
) -> None:
    library.set_stat(statistic)
    assert library.data() == expected


def test_a_multi_line_graph_without_a_name_goes_by_its_own(library: Printing) -> None:
    library.set_stat(MultiLineGraph().labels(["a"]).data([1]))
    assert library.last().split(", ")[1] == "MultiLine"


def test_a_series_may_be_given_label_first(library: Printing) -> None:
    library.set_stat(MultiGraph().add_series("a", [1, 2], [3, 4]).add_series([5], [6], "b"))
    assert [series["label"] for series in library.data()["y_series"]] == ["a", "b"]
    assert library.data()["x_series"] == [1, 2, 5]


def test_of_points_with_the_same_x_the_first_is_drawn(library: Printing) -> None:
    library.set_stat(MultiGraph().add_series(x=[0, 0, 1], y=[0.1, 0.4, 1], label="roc"))
    assert library.data()["y_series"] == [{"label": "roc", "data": [0.1, 1]}]


@pytest.mark.parametrize(
    ("places", "order"), [([10, 2, 1], ["1", "2", "10"]), ([10, "b", 2], ["10", "2", "b"])]
)
def test_categories_stand_in_the_order_of_their_values(
    library: Printing, places: list[Any], order: list[str]
) -> None:
    library.set_stat(MultiGraph().set_categorical().add_series(x=places, y=[1, 2, 3], label="n"))
    assert library.data()["x_series"] == order


# ---- 1.3 and 1.4: statistics, KPIs, events --------------------------------------------------------------------------


def test_units_are_checked_where_no_time_is_given(library: Printing) -> None:
    for report in (
        lambda: library.set_kpi("k", 1, None, "fortnight"),
        lambda: library.set_stat("s", 1, units="fortnight"),
        lambda: KpiValue("k", 1, None, "fortnight"),
    ):
        with pytest.raises(MLOpsException, match="fortnight"):
            report()


@pytest.mark.parametrize("description", [None, ""])
def test_an_event_without_a_description_has_an_empty_one_in_both_modes(
    library: Printing, description: str | None
) -> None:
    library.event(Event("e", description)).set_event("e", EventType.System)
    assert json.loads(library.last().split(", ", 3)[3])["description"] == ""
    assert Event("e").description == ""


def test_what_is_set_on_an_event_before_it_is_reported_counts(library: Printing) -> None:
    """``events.event.Event(label, …)``: also of subclasses."""
    made = Event("e")
    made.type, made.data, made.is_alert = EventType.System, {"a": 1}, True
    made.timestamp = datetime(2026, 1, 1)  # noqa: DTZ001 - users pass naive ones
    library.event(made)
    number, title, alert, data = library.last().split(", ", 3)
    assert (number, title, alert, json.loads(data)["data"]) == ("54", "e", "True", {"a": 1})
    assert json.loads(data)["timestamp_ms"] == 1_767_225_600_000
    assert (HealthAlert("h").type, HealthAlert("h", "d", [1]).data) == (EventType.Health, [1])
    made.type = "Rain"
    with pytest.raises(MLOpsException, match="Rain"):
        library.event(made)


def test_lines_of_reports_within_one_millisecond_are_rows_of_their_own() -> None:
    """MULTILINEGRAPH ``time, <label>…``; a line that is not a number is also one."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = samples_frame(
        pd.DataFrame(
            {
                "event_time": [now] * 4 + [now + timedelta(seconds=1)] * 2,
                "value": [5.0, 55.0, 15.0, 155.0, np.nan, np.nan],
                "node_id": "n",
                "agent_id": "a",
                "labels": [{"line": line} for line in ("a", "a", "b", "b", "a", "b")],
            }
        )
    )
    assert list(found.columns) == ["time", "a", "b", "node", "agent"]
    np.testing.assert_array_equal(found[["a", "b"]], [[5.0, 15.0], [55.0, 155.0], [np.nan, np.nan]])


def test_a_line_may_have_any_name() -> None:
    """MULTILINEGRAPH ``time, <label>…``, with columns ``node``, ``agent`` added."""
    lines = ["turn", "line", "value", "node", "time"]
    found = samples_frame(
        pd.DataFrame(
            {
                "event_time": datetime(2026, 1, 1, tzinfo=UTC),
                "value": [0.0, 1.0, 2.0, 3.0, 4.0],
                "node_id": "n",
                "agent_id": "a",
                "labels": [{"line": line} for line in lines],
            }
        )
    )
    assert list(found.columns) == [
        "time",
        *("turn", "line", "value", "line node", "line time"),
        *("node", "agent"),
    ]
    assert found.iloc[0, 1:].tolist() == [0, 1, 2, 3, 4, "n", "a"]


@pytest.mark.parametrize("from_warehouse", ["plain", "", b"\xff"])
def test_bytes_stay_bytes_though_the_warehouse_holds_them_as_text(from_warehouse: str | bytes) -> None:
    """**decided**: bytes stay bytes with a content type. OPAQUE ``time, data``."""
    sent = from_warehouse if isinstance(from_warehouse, bytes) else from_warehouse.encode()
    row = {
        "event_time": datetime(2026, 1, 1, tzinfo=UTC),
        "node_id": "n",
        "agent_id": "a",
        "content_type": "application/octet-stream",
        "data": from_warehouse,
    }
    event = {
        "type": "Anomaly",
        "title": "t",
        "description": "",
        "is_alert": True,
        "model_id": "",
        "event_id": "e",
    }
    events = events_frame(pd.DataFrame([row | event]), "Flights")
    assert structured_frame(pd.DataFrame([row | {"graph_type": "OPAQUE"}]))["data"].tolist() == [sent]
    assert events["data"].tolist() == [sent]
    assert events[["name", "ionName", "eventType", "raiseAlert"]].iloc[0].tolist() == [
        "t",
        "Flights",
        "Anomaly",
        True,
    ]


def test_the_number_of_lines_is_one_or_none(library: Printing) -> None:
    """``get_stats(…, no_of_lines=-1)``."""
    library._set_api_test_mode()
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    for lines in (None, -1, 3):
        assert library.get_stats("s", None, None, start, end, lines) is None
    with pytest.raises(MLOpsException, match="no_of_lines"):
        library.get_stats("s", None, None, start, end, "3")  # type: ignore[arg-type]


# ---- 1.5: models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, "2", np.int64(2), 2.0])
def test_the_number_of_features_may_come_from_a_command_line(library: Printing, count: Any) -> None:
    model = library.Model("m", ModelFormat.TEXT)
    model.feature_importance([0.1, 0.7, 0.2], ["a", "b", "c"], num_significant_features=count)
    assert literal_eval(library.last().split(", ", 4)[4]) == {"Feature Importance": [{"b": 0.7}, {"c": 0.2}]}


def test_a_frame_names_the_features_with_its_labels_in_the_first_column_or_without(library: Printing) -> None:
    model = library.Model("m", ModelFormat.TEXT)
    for columns in (["late", "a", "b"], ["a", "b"]):
        model.feature_importance([0.1, 0.7], df=pd.DataFrame(columns=columns))
        assert library.data() == {"Feature Importance": [{"b": 0.7}, {"a": 0.1}]}
    with pytest.raises(MLOpsException, match="2 importances for 4 features"):
        model.feature_importance([0.1, 0.7], df=pd.DataFrame(columns=["a", "b", "c", "d"]))


def test_importances_that_are_no_numbers_come_last(library: Printing) -> None:
    """``feature_importance``: sorted descending, the top k."""
    model = library.Model("m", ModelFormat.TEXT)
    model.feature_importance([0.1, np.nan, 0.7, np.nan, 0.2], list("abcde"), num_significant_features=3)
    assert library.data() == {"Feature Importance": [{"c": 0.7}, {"e": 0.2}, {"a": 0.1}]}


def test_a_pipeline_that_is_not_there_raises_stand_alone_too(library: Printing) -> None:
    now = datetime.now(UTC)
    with pytest.raises(MLOpsException, match="no pipeline 'nightly'"):
        library.get_models_by_time(now, now, pipeline_name="nightly")


def test_a_model_s_name_and_description_may_be_options_that_nobody_gave(library: Printing) -> None:
    model = library.Model(name=None, model_format=ModelFormat.BINARY, description=None)
    assert (model.metadata.name, model.metadata.description) == ("", "")
    with pytest.raises(MLOpsException, match="name"):
        library.Model(name=3, model_format=ModelFormat.BINARY)  # type: ignore[arg-type]


# ---- 1.1: the map of statistics -------------------------------------------------------------------------------------


def test_a_server_writes_the_map_of_statistics_as_json() -> None:
    library = MLOps()
    library.init(mlops_mode="rest_accumulator")
    library.set_stat("n", np.float32(0.5))
    library.set_stat(HTML().name("page").data("<p>é</p>"))
    library.set_stat(Table().name("t").cols(["a"]).add_row([1]))
    written = json.loads(json.dumps(library.get_stats_map()))
    library.done()
    assert written == {"n": 0.5, "page": "<p>é</p>", "t": {"": {"a": 1}}}


# ---- 1.2: environment and topology ----------------------------------------------------------------------------------


def test_a_component_knows_its_node_and_agent_before_it_has_reported(
    library: Printing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Platform, "ask", lambda *_: [])
    opened = library._session.opened()._replace(settings=Settings())
    for mode, agents in ((MLOpsMode.AGENT, [Agent("host-1", "host-1")]), (MLOpsMode.ATTACH, [])):
        for node_id in ("train", ""):
            environment = ComponentEnvironment("app", node_id, "run-1", "host-1", "")
            opened = opened._replace(mode=mode, environment=environment)
            monkeypatch.setattr(library._session, "_opened", opened)
            if agents and node_id:
                node = library.get_current_node()
                assert (node.name, node.pipeline_instance_id) == ("train", "run-1")
                assert library.get_agents(node.name) == agents
            else:
                assert library.get_nodes() == []


# ---- 1 and 1.6: names -----------------------------------------------------------------------------------------------


def test_the_project_goes_by_its_official_name() -> None:
    assert Constants.OFFICIAL_NAME == project_name == "ml-ops"


def test_an_agent_that_a_node_does_not_have_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Host:
        id, hostname = "agent-1", "host-1"

    class Library:
        @staticmethod
        def get_agents(_node: str) -> list[Host]:
            return [Host()]

    monkeypatch.setattr(utils, "mlops", Library())
    found = [utils._get_agent_id("n", agent) for agent in ("host-1", "agent-1", None, "host-2")]
    assert found == ["agent-1", "agent-1", "agent-1", None]

"""What a connected component reports, as it arrives on the topics."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections.artifacts import filesystem

if TYPE_CHECKING:
    from tests.producers.conftest import Component

JANUARY_MS = 1_356_998_400_000


def at_least(count: int) -> Any:
    return lambda found: len(found) >= count


def test_every_kind_of_event_arrives(component: Component) -> None:
    component.run("""
from parallelm.mlops import mlops
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
mlops.init()
assert mlops.data_alert("data", "d", {"rows": [1, None, 2.5]}) is mlops
mlops.health_alert("health", "h").system_alert("system", None).canary_alert("canary", False, 0.3, 0.2)
mlops.set_event("named", EventType.System, b"\\x00\\xff", is_alert=True, timestamp="2013-01-01")
mlops.set_event(Event("plain", "words", {"a": 1}))
mlops.done()
""")
    events = {event.title: event for event in component.records("events", at_least(6))}
    assert {title: (event.type, event.is_alert) for title, event in events.items()} == {
        "data": ("GenericDataAlert", True),
        "health": ("GenericHealthAlert", True),
        "system": ("GenericSystemAlert", True),
        "canary": ("CanaryHealth", True),
        "named": ("GenericSystemAlert", True),
        "plain": ("GenericEvent", False),
    }
    assert json.loads(events["data"].data) == {"rows": [1, None, 2.5]}
    assert (events["named"].content_type, events["named"].data) == ("application/octet-stream", b"\x00\xff")
    assert events["named"].event_time_ms == JANUARY_MS
    assert json.loads(events["canary"].data)["histogramComparison"]["divergedAttributes"] == "prediction"
    assert len({event.event_id for event in events.values()}) == 6
    assert sorted(event.seq for event in events.values()) == list(range(6))


def test_points_of_kpis_keep_their_labels_and_past_times(component: Component) -> None:
    component.run("""
from parallelm.mlops import mlops
from parallelm.mlops.stats.kpi_value import KpiValue
mlops.init()
for day in range(2500):
    mlops.set_kpi("on-time", day / 2500, 1356998400 + day * 86400, KpiValue.TIME_SEC, labels={"carrier": "UA"})
mlops.done()
""")
    batches = component.records("kpis", lambda found: sum(len(batch.points) for batch in found) >= 2500)
    points = [point for batch in batches for point in batch.points]
    assert len(batches) < 30
    assert [point.timestamp_ms for point in points] == [JANUARY_MS + day * 86_400_000 for day in range(2500)]
    assert {(point.name, tuple(point.labels.items())) for point in points} == {
        ("on-time", (("carrier", "UA"),))
    }


def test_event_time_holds_for_its_block_and_thread_only(component: Component) -> None:
    component.run("""
import threading, asyncio
from parallelm.mlops import mlops
mlops.init()

async def task(year):
    with mlops.event_time(f"{year}-01-01"):
        await asyncio.sleep(0)
        mlops.set_stat(f"task-{year}", 1.0)

async def tasks():
    await asyncio.gather(task(2001), task(2002))

with mlops.event_time("2013-01-01T00:00:00Z"):
    mlops.set_stat("inside", 1.0)
    mlops.set_stat("given", 1, timestamp="2014-01-01")
    mlops.data_alert("alert", "")
    other = threading.Thread(target=lambda: mlops.set_stat("other thread", 1.0))
    other.start()
    other.join()
    asyncio.run(tasks())
mlops.set_stat("outside", 1.0)
mlops.done()
""")
    batches = component.records("statistics", lambda found: sum(len(batch.series) for batch in found) >= 6)
    times = {series.name: series.timestamps_ms[0] for batch in batches for series in batch.series}
    assert times["inside"] == JANUARY_MS
    assert times["given"] == JANUARY_MS + 365 * 86_400_000
    assert times["task-2001"] == 978_307_200_000
    assert times["task-2002"] == 1_009_843_200_000
    assert min(times["outside"], times["other thread"]) > 1_700_000_000_000
    (alert,) = component.records("events", at_least(1))
    assert alert.event_time_ms == JANUARY_MS


def test_event_time_of_the_environment_is_everyone_s(component: Component) -> None:
    component.run(
        """
import threading
from parallelm.mlops import mlops
mlops.init()
threads = [threading.Thread(target=lambda: mlops.set_stat("x", 1.0)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
mlops.done()
""",
        MCENTER_EVENT_TIME="2013-01-01",
    )
    assert component.samples("x", 3) == [(JANUARY_MS, 1.0)] * 3


def test_lines_of_a_graph_and_labels_of_a_handle_are_series(component: Component) -> None:
    component.run("""
from parallelm.mlops import mlops, StatCategory
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
mlops.init()
mlops.set_stat(MultiLineGraph().name("lines").labels(["a", "b"]).data([1, 2.5]))
handle = mlops.series("loss", fold="3")
handle.set(0.25)
handle.set(7)
with mlops.event_time("2013-01-01"):
    for value in (True, 2.0, False):
        mlops.set_stat("order", value)
    mlops.series("order").set(4.0)
mlops.set_stat("rate", 0.1, StatCategory.CONFIG)
mlops.set_stat("nan", float("nan"))
mlops.done()
""")
    batches = component.records("statistics", lambda found: sum(len(batch.series) for batch in found) >= 6)
    series = {(one.name, tuple(one.labels.items())): one for batch in batches for one in batch.series}
    assert series["lines", (("line", "a"),)].graph_type == "MULTILINEGRAPH"
    assert list(series["lines", (("line", "b"),)].values) == [2.5]
    assert list(series["order", ()].values) == [1.0, 2.0, 0.0, 4.0]
    assert list(series["loss", (("fold", "3"),)].values) == [0.25, 7.0]
    assert series["rate", ()].category == "CONFIG"
    assert series["nan", ()].values[0] != series["nan", ()].values[0]


def test_structured_statistics_and_histograms_arrive(component: Component) -> None:
    component.run("""
import numpy as np
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.table import Table
mlops.init()
mlops.set_stat(Table().name("t").cols(["a", "b"]).add_row("r", [1, 2]))
model = mlops.Model("m", ModelFormat.TEXT)
model.set_data_distribution_stat(np.random.default_rng(1).normal(size=(500, 2)))
print(model.get_id())
mlops.done()
""")
    found = {one.name: one for one in component.records("structured-statistics", at_least(3))}
    assert json.loads(found["t"].data) == {"r": {"a": 1, "b": 2}}
    histograms = found["continuousDataHistogram"]
    assert histograms.labels == {"phase": "training"}
    assert histograms.model_id
    assert [histogram.feature for histogram in histograms.histograms] == ["c0", "c1"]
    assert sum(histograms.histograms[0].weights) == pytest.approx(1)


def test_a_published_file_is_stored_before_it_is_announced(component: Component, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    content = bytes(range(256)) * 4000
    path.write_bytes(content)
    model_id = component.run(f"""
import os
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
mlops.init()
model = mlops.Model("trees", ModelFormat.BINARY, "words")
model.set_model_path({str(path)!r})
model.set_annotations({{"auc": 0.75, "tags": ["a"]}})
with mlops.event_time("2013-01-01"):
    print(mlops.publish_model(model))
os.remove({str(path)!r})
mlops.done()
""").strip()
    (announced,) = component.records("models", at_least(1))
    assert announced.model_id == model_id
    assert (announced.name, announced.format, announced.description) == ("trees", "Binary", "words")
    assert announced.event_time_ms == JANUARY_MS
    assert announced.annotations == {"auc": "0.75", "tags": '["a"]'}
    store, where = filesystem(component.settings.artifacts, announced.artifact_url)
    stored = store.cat_file(where)
    assert stored == content
    assert announced.size_bytes == len(content)
    assert announced.sha256 == hashlib.sha256(content).hexdigest()
    assert not any(Path(component.settings.component.outbox_folder).iterdir())


def test_a_published_directory_travels_as_an_archive(component: Component, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "vocabulary.txt").write_text("a b c")
    component.run(f"""
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
mlops.init()
model = mlops.Model("net", ModelFormat.SAVEDMODEL)
model.set_model_path({str(folder)!r})
mlops.publish_model(model)
mlops.done()
""")
    (announced,) = component.records("models", at_least(1))
    assert announced.is_directory
    store, where = filesystem(component.settings.artifacts, announced.artifact_url)
    with store.open(where) as file, tarfile.open(fileobj=file) as tar:
        member = tar.extractfile("./assets/vocabulary.txt")
        assert member is not None
        assert member.read() == b"a b c"

"""Odd reports and environments, which must not cost other reports."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from parallelm.connections.artifacts import filesystem
from parallelm.mlops import mlops
from parallelm.mlops._delivery.encoding.batches import kpi_batch
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.schemas.codec import Codec
from parallelm.schemas.kpi_points import points_of_one_record
from parallelm.schemas.records import KpiPoint, Origin
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.wire import MAX_RECORD_BYTES
from tests.producers.conftest import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.producers.conftest import Component

ORIGIN = Origin(mlapp_id="app", node_id="node", pipeline_instance_id="", agent_id="host")


def at_least(count: int):
    return lambda found: sum(len(batch.points) for batch in found) >= count


@pytest.mark.parametrize("model_id", [5, None, b"m", "\ud800"])
def test_a_handle_of_a_series_takes_no_model_id_that_cannot_travel(model_id: object) -> None:
    with pytest.raises(MLOpsException, match="a model's id"):
        mlops.series("loss", model_id=model_id)  # type: ignore[arg-type]


def test_ids_of_the_environment_that_are_no_utf8_travel_as_escapes(component: Component) -> None:
    # Popen's own environment is text: the byte is set by the program that becomes the component.
    program = "from parallelm.mlops import mlops; mlops.init(); mlops.set_stat('odd', 1.0); mlops.done()"
    environment = {os.fsencode(name): os.fsencode(value) for name, value in component.environment().items()}
    subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {b"PM_WORKFLOW_NODE_ID": b"n\xff"},
        cwd=component.folder,
        check=True,
        timeout=DEADLINE_S,
    )
    (batch,) = component.records("statistics", bool)
    assert batch.origin.node_id == "n\\udcff"


def test_points_of_kpis_with_long_labels_share_no_record_that_is_too_large(component: Component) -> None:
    output = component.run("""
from parallelm.mlops import mlops
mlops.init()
for number in range(1000):
    mlops.set_kpi("rate", float(number), labels={"note": "x" * 1200})
mlops.done()
print(mlops.dropped())
""")
    assert output.strip() == "{}"
    batches = component.records("kpis", at_least(1000))
    assert sorted(point.value for batch in batches for point in batch.points) == list(range(1000))


@pytest.mark.parametrize(
    "labels", [{}, {"é" * 40: "𝄞" * 2_000}, {str(n): "" for n in range(500)}, {"l": "x" * 2_000_000}]
)
def test_points_are_taken_as_long_as_they_fit(labels: dict[str, str]) -> None:
    point = KpiPoint(name="k", labels=labels, timestamp_ms=2**43, value=1.0, model_id="m")
    taken = list(points_of_one_record([point] * 1_000))
    encoded = Codec(PackagedRegistry()).encode(kpi_batch(taken)(ORIGIN, "p", 2**62))
    assert len(taken) == 1 or len(encoded) <= MAX_RECORD_BYTES
    assert len(taken) == 1_000 or labels


def test_a_model_may_be_named_as_the_outbox_names_its_own_file(component: Component, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text('{"weights": [1, 2]}')
    component.run(f"""
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
mlops.init()
model = mlops.Model(name="m", model_format=ModelFormat.JSON)
model.set_model_path({str(file)!r})
mlops.publish_model(model)
mlops.done()
""")
    (announced,) = component.records("models", bool)
    store, path = filesystem(component.settings.artifacts, announced.artifact_url)
    assert store.cat_file(path) == file.read_bytes()
    assert announced.file_name == "manifest.json"


def test_large_reports_that_wait_for_an_absent_broker_take_bounded_memory(component: Component) -> None:
    output = component.run(
        """
from pathlib import Path
from parallelm.mlops import mlops
from parallelm.mlops.stats.opaque import Opaque
mlops.init()
for number in range(1500):
    mlops.set_stat(Opaque().name("large").data({"text": "x" * 400_000}))
    mlops.set_kpi("small", float(number))
# Not ru_maxrss: a program inherits the maximum of the one that started it.
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
mlops.done()
print(sum(mlops.dropped().values()), mlops.dropped()["queue_full"])
""",
        MCENTER_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        MCENTER_COMPONENT_CLOSE_TIMEOUT_S="2",
    )
    megabytes, dropped, full = map(int, output.split())
    assert megabytes < 600
    assert (dropped, full > 1_000) == (3_000, True)

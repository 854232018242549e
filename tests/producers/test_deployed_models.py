"""The way of a model: trained and published by one component, deployed, taken and watched by another."""

from __future__ import annotations

import dataclasses
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections.artifacts import filesystem
from parallelm.schemas import topics
from parallelm.schemas.records import DeploymentState
from tests.conftest import settings_of_a_test
from tests.producers.conftest import ComponentOnPlatform, ends, running_platform
from tests.producers.definitions import transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce
    from tests.producers.conftest import Component

TRAIN = """
import sys
import numpy as np
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
mlops.init()
model = mlops.Model("trees", ModelFormat.TEXT)
with open("trained.txt", "w") as file:
    file.write("weights")
model.set_model_path("trained.txt")
mlops.set_data_distribution_stat(np.random.default_rng(1).normal(size=(1000, 2)), model)
print(mlops.publish_model(model))
mlops.done()
"""

TAKE = """
import time
import numpy as np
from parallelm.mlops import mlops
mlops.init()
deadline = time.monotonic() + 100
while (model := mlops.get_last_approved_model()) is None:
    assert time.monotonic() < deadline
    time.sleep(0.1)
model.download("taken.txt")
assert mlops.current_model() == model
mlops.set_data_distribution_stat(np.random.default_rng(2).normal(size=(1000, 2)))
mlops.set_data_distribution_stat(np.random.default_rng(3).normal(5, 1, size=(1000, 2)))
print(model.get_id(), model.metadata.name, open("taken.txt").read())
mlops.done()
"""


@dataclass(frozen=True)
class MLApp(ComponentOnPlatform):
    """Components of one MLApp; the platform has others, of other tests."""

    mlapp_id: str = "app"

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(**({"PM_WORKFLOW_INSTANCE_ID": self.mlapp_id} | more))

    def deploys(
        self,
        model_id: str,
        state: DeploymentState,
        *,
        node_id: str = "predict",
        attempt: int = 1,
        deployment_id: str | None = None,
    ) -> None:
        step = transition(model_id, state, node_id=node_id)
        deployment_id = deployment_id or step.deployment_id
        record = dataclasses.replace(
            step,
            mlapp_id=self.mlapp_id,
            attempt=attempt,
            deployment_id=deployment_id,
            transition_id=f"{deployment_id}-{state}",
        )
        self.produce(topics.DEPLOYMENTS, record, self.mlapp_id)


@pytest.fixture(scope="module")
def platform_of_the_module(
    stack: Settings, made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComponentOnPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    with (
        settings_of_a_test(stack, folder) as own,
        made_once.lent(own) as settings,
        running_platform(settings, folder) as running,
    ):
        yield running


@pytest.fixture
def mlapp(platform_of_the_module: ComponentOnPlatform, tmp_path: Path) -> MLApp:
    settings = platform_of_the_module.settings
    return MLApp(settings, tmp_path, ends(settings), f"app-{uuid.uuid4().hex[:8]}")


def test_a_deployed_model_is_taken_accepted_and_watched(mlapp: MLApp) -> None:
    model_id = mlapp.run(TRAIN).strip()
    mlapp.rows(f"SELECT 1 FROM histograms WHERE model_id = '{model_id}'")
    mlapp.deploys(model_id, DeploymentState.REQUESTED)
    assert mlapp.run(TAKE, PM_WORKFLOW_NODE_ID="predict").split() == [model_id, "trees", "weights"]

    (accepted,) = mlapp.records("events", bool)
    assert (accepted.type, accepted.model_id, accepted.is_alert) == ("ModelAccepted", model_id, False)
    scores = mlapp.rows(
        f"SELECT labels['line'], groupArray(value) FROM statistics WHERE model_id = '{model_id}' "
        "AND name = 'continuousDataHistogram.overlapResult' GROUP BY 1 ORDER BY 1",
        lambda rows: len(rows) == 2 and all(len(values) == 2 for _, values in rows),
    )
    assert [label for label, _ in scores] == ["overlapScore_c0", "overlapScore_c1"]
    for _, (alike, shifted) in scores:
        assert shifted < 0.4
        assert alike > 0.9
    drift = mlapp.rows(
        "SELECT name, labels['feature'], groupArray(value) FROM (SELECT * FROM statistics ORDER BY event_time) "
        f"WHERE model_id = '{model_id}' AND name IN ('drift.p_value', 'drift.psi', 'drift.ks') GROUP BY 1, 2 ORDER BY 1, 2",
        lambda rows: len(rows) == 6 and all(len(values) == 2 for *_, values in rows),
    )
    for measure, feature, (alike, shifted) in drift:
        assert feature in {"c0", "c1"}
        assert (alike > 0.01 > shifted) if measure == "drift.p_value" else (alike < 0.3 < shifted)
    ask = """
from datetime import UTC, datetime, timedelta
from parallelm.mlops import mlops
mlops.init()
now = datetime.now(UTC)
frame = mlops.get_stats("drift.psi", "predict", None, now - timedelta(hours=1), now + timedelta(hours=1))
print(*frame.columns, len(frame))
"""
    assert mlapp.run(ask, PM_WORKFLOW_NODE_ID="predict").split() == ["time", "c0", "c1", "node", "agent", "2"]
    counted = mlapp.rows(
        f"SELECT labels['phase'], feature, row_count, missing_count FROM histograms WHERE model_id = '{model_id}'",
        lambda rows: len(rows) == 6,
    )
    assert all(rows > 0 and missing == 0 for *_, rows, missing in counted)
    phases = mlapp.rows(
        f"SELECT labels['phase'], count() FROM histograms WHERE mlapp_id = '{mlapp.mlapp_id}' GROUP BY 1 ORDER BY 1",
        lambda rows: rows == [("inference", 4), ("training", 2)],
    )
    assert phases


def test_a_superseded_or_foreign_deployment_is_not_ours(mlapp: MLApp) -> None:
    first = mlapp.run(TRAIN).strip()
    second = mlapp.run(TRAIN).strip()
    for state in (DeploymentState.REQUESTED, DeploymentState.ACTIVE):
        mlapp.deploys(first, state)
    mlapp.deploys(second, DeploymentState.REQUESTED, node_id="other")
    mlapp.deploys(second, DeploymentState.REQUESTED)
    mlapp.deploys(second, DeploymentState.FAILED)
    for table, count in (("deployment_transitions", 5), ("models", 2)):
        ours = f"SELECT count() FROM {table} WHERE mlapp_id = '{mlapp.mlapp_id}'"
        mlapp.rows(ours, lambda rows, count=count: rows == [(count,)])
    ask = """
from parallelm.mlops import mlops
mlops.init()
model = mlops.get_last_approved_model()
print(model and model.get_id())
mlops.done()
"""
    assert mlapp.run(ask, PM_WORKFLOW_NODE_ID="predict").strip() == first
    assert mlapp.run(ask, PM_WORKFLOW_NODE_ID="other").strip() == second
    assert mlapp.run(ask, PM_WORKFLOW_NODE_ID="nobody").strip() == "None"


def test_bytes_that_are_not_those_published_are_refused(mlapp: MLApp) -> None:
    model_id = mlapp.run(TRAIN).strip()
    mlapp.deploys(model_id, DeploymentState.REQUESTED)
    (announced,) = mlapp.records("models", bool)
    store, where = filesystem(mlapp.settings.artifacts, announced.artifact_url)
    store.pipe_file(where, b"welghts")
    output = mlapp.run(
        TAKE.replace(
            'model.download("taken.txt")',
            """
from parallelm.mlops.mlops_exception import MLOpsException
try:
    model.download("taken.txt")
except MLOpsException as error:
    print(error)
mlops.done()
raise SystemExit
""",
        ),
        PM_WORKFLOW_NODE_ID="predict",
    )
    assert announced.sha256 in output
    assert not (mlapp.folder / "taken.txt").exists()
    assert not list(mlapp.folder.glob(".taken*"))


def test_the_model_that_the_agent_set_is_current_at_once(mlapp: MLApp) -> None:
    model_id = mlapp.run(TRAIN).strip()
    mlapp.rows(f"SELECT 1 FROM models WHERE model_id = '{model_id}'")
    output = mlapp.run(
        """
from parallelm.mlops import mlops
mlops.init()
print(mlops.current_model().metadata.to_dict()["id"])
mlops.done()
""",
        PM_MLOPS_MODEL_ID=model_id,
    )
    assert output.strip() == model_id


@pytest.mark.parametrize("suppress", [True, False])
def test_asking_a_database_that_is_away_ends_in_time(component: Component, suppress: bool) -> None:
    nowhere = dataclasses.replace(component.settings.clickhouse, host="127.0.0.1", port=1)
    settings = dataclasses.replace(component.settings, clickhouse=nowhere)
    output = dataclasses.replace(component, settings=settings).run(f"""
import time, json
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsConnectionException
mlops.init()
mlops.suppress_connection_errors({suppress})
started = time.monotonic()
try:
    answer = repr(mlops.get_last_approved_model())
except MLOpsConnectionException as error:
    answer = str(error)
print(json.dumps([time.monotonic() - started, answer]))
mlops.done()
""")
    took_s, answer = json.loads(output)
    assert took_s < component.settings.component.query_timeout_s + 4
    assert answer == "None" if suppress else "127.0.0.1:1" in answer


def test_a_published_directory_is_one_again(mlapp: MLApp) -> None:
    model_id = mlapp.run("""
import os
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
os.makedirs("saved/inner")
open("saved/inner/a.txt", "w").write("deep")
mlops.init()
model = mlops.Model("net", ModelFormat.SAVEDMODEL)
model.set_model_path("saved")
print(mlops.publish_model(model))
mlops.done()
""").strip()
    mlapp.deploys(model_id, DeploymentState.REQUESTED)
    take = TAKE.replace('open("taken.txt")', 'open("taken.txt/inner/a.txt")')
    assert mlapp.run(take, PM_WORKFLOW_NODE_ID="predict").split()[-1] == "deep"
    assert Path(mlapp.folder / "taken.txt").is_dir()


def test_a_program_that_ends_without_done_still_uploads_its_model(component: Component) -> None:
    component.run(
        """
from pathlib import Path
from parallelm.mlops import mlops
mlops.init()
Path("weights.txt").write_text("w")
model = mlops.Model("m", "Text")
model.set_model_path("weights.txt")
mlops.publish_model(model)
""",
        timeout_s=45,  # uploads that are given up take a minute
    )
    (announced,) = component.records("models", bool)
    assert announced.name == "m"


def test_a_report_of_drift_is_in_one_record_while_other_threads_report(mlapp: MLApp) -> None:
    model_id = mlapp.run(TRAIN).strip()
    mlapp.rows(f"SELECT 1 FROM histograms WHERE model_id = '{model_id}'")
    mlapp.deploys(model_id, DeploymentState.REQUESTED)
    mlapp.run(
        """
import tempfile, threading
from pathlib import Path
import numpy as np
from parallelm.mlops import mlops
mlops.init()
mlops.wait_for_model(60, histograms=True).download(str(Path(tempfile.mkdtemp()) / "model"))
stop = threading.Event()
def report():
    while not stop.is_set():
        mlops.set_stat("noise", 1.0)
        stop.wait(0.001)
thread = threading.Thread(target=report)
thread.start()
random = np.random.default_rng(7)
for day in range(1, 29):
    with mlops.event_time(f"2013-02-{day:02}"):
        mlops.set_data_distribution_stat(random.normal(size=(200, 2)))
stop.set()
thread.join()
mlops.done()
""",
        PM_WORKFLOW_NODE_ID="predict",
    )
    records: dict[float, set[int]] = {}

    def all_days(batches: list[Any]) -> bool:
        for number, batch in enumerate(batches):
            for series in batch.series:
                for at_ms in series.timestamps_ms if series.name.startswith("drift.") else ():
                    records.setdefault(at_ms, set()).add(number)
        return len(records) == 28

    mlapp.records("statistics", all_days)
    assert {at_ms: len(numbers) for at_ms, numbers in records.items()} == dict.fromkeys(records, 1)

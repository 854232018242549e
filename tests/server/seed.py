"""What the pages show in tests: the MLApp ``churn``, reported by components as they are written, over 60 days of 2026.

``python -m tests.server.seed train|predict PERIOD`` is one component, started with the environment that an agent gives it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from parallelm.connections import save_settings
from parallelm.mlops import mlops
from parallelm.mlops.metrics_constants import ClassificationMetrics
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.table import Table
from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.operations.kpis import KpiFileFormat, read_kpi_file, upload_kpis
from tests.people import person
from tests.waiting import PATIENT

if TYPE_CHECKING:
    from parallelm.connections import Settings

MLAPP: Final = "churn"
FIRST_DAY: Final = datetime(2026, 5, 1, 8, tzinfo=UTC)
DAYS: Final = 60
SECOND_MODEL_ON: Final = 30
PERIODS: Final = (range(SECOND_MODEL_ON), range(SECOND_MODEL_ON, DAYS))
"""Days of each model."""
SLOW_DAYS: Final = (40, DAYS - 1)
KPI: Final = "revenue"
DEFINITION: Final = """\
mlapp: churn
name: Customers who may leave
description: Which customers will cancel within a month?
nodes:
  - {id: train, name: Train, type: model_producer}
  - {id: predict, name: Predict, type: model_consumer, parents: [train], consumes: [train]}
  - {id: predict-key-accounts, name: Predict key accounts, type: model_consumer, parents: [train], consumes: [train],
     policy: {model_policy: manual}}
policy: {model_policy: always_update}
alerts:
  - {name: slow answers, type: threshold, statistic: latency, above: 0.5, severity: critical,
     reason: Answers took longer than half a second.}
  - {name: other customers, type: health, measure: score, threshold: 0.6, reason: The customers differ from training.}
"""


def seed(settings: Settings, folder: Path) -> None:
    """Define the MLApp, run its components one after the other, and upload the KPI; processors and sink run."""
    config = folder / "mcenter.toml"
    save_settings(settings, config)
    definition = validate_definition(DEFINITION.encode(), "churn.yaml")
    apply_definition(settings, definition, who=person("ada"))
    for period in range(len(PERIODS)):
        _component(config, "train", period)
        _component(config, "predict", period)
    found = read_kpi_file(
        revenue_csv().encode(), KpiFileFormat(kpi=KPI, columns={"timestamp": "day", "value": "revenue"})
    )
    upload_kpis(settings, MLAPP, "revenue.csv", found.points, who=person("ada"))


def _component(config: Path, node: str, period: int) -> None:
    own = {
        "MCENTER_CONFIG": str(config),
        "PM_MLOPS_MODE": "agent",
        "PM_WORKFLOW_INSTANCE_ID": MLAPP,
        "PM_WORKFLOW_NODE_ID": node,
        "PM_PIPELINE_INSTANCE_ID": f"{MLAPP}-{node}",
        "AGENT_PUBLIC_ADDRESS": "host-1",
        **PATIENT,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.seed", node, str(period)],
        env={**os.environ, **own},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def customers(day: int, rows: int = 200) -> pd.DataFrame:
    """As they are on a day; from the 45th on older than those of training."""
    chance = np.random.default_rng(day)
    return pd.DataFrame(
        {
            "age": chance.normal(40 + (25 if day > 45 else 0), 8, rows),
            "visits": chance.poisson(5, rows).astype(float),
            "plan": chance.choice(["basic", "plus", "max"], rows, p=[0.6, 0.3, 0.1]),
        }
    )


def train(period: int) -> None:
    """Publish the model of a period, with what is known of its training."""
    day, quality = PERIODS[period].start, (0.81, 0.84)[period]
    mlops.init()
    with mlops.event_time(FIRST_DAY + timedelta(days=day)), tempfile.TemporaryDirectory() as folder:
        name = f"churn-{day:02d}"
        model = mlops.Model(name, ModelFormat.JSON, f"trained on day {day}", {"team": "retention"})
        path = Path(folder) / "model.json"
        path.write_text(f'{{"bias": {quality}}}', encoding="ascii")
        model.set_model_path(str(path))
        model.set_data_distribution_stat(customers(day, 2000))
        model.feature_importance(
            feature_importance_vector=[0.5, 0.3, 0.2], feature_names=["age", "visits", "plan"]
        )
        model.set_stat(ClassificationMetrics.ACCURACY_SCORE, quality)
        model.set_stat(
            ClassificationMetrics.CONFUSION_MATRIX, [[80, 20], [12, 88]], labels=["stays", "leaves"]
        )
        mlops.publish_model(model)
    mlops.done()


def predict(period: int) -> None:
    """Each day of a period: predictions and how long they took; in the end one of each other kind of statistic."""
    mlops.init()
    chance = np.random.default_rng(period)
    days = PERIODS[period]
    with (
        mlops.event_time(FIRST_DAY + timedelta(days=days.start, hours=1)),
        tempfile.TemporaryDirectory() as folder,
    ):
        model = mlops.wait_for_model(90, histograms=True, name=f"churn-{days.start:02d}")
        assert model, "no model came"
        model.download(f"{folder}/model.json")
    for day in days:
        with mlops.event_time(FIRST_DAY + timedelta(days=day, hours=4)):
            if day % 5 == 0:
                mlops.set_data_distribution_stat(customers(day))
            mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, 200)
            mlops.set_stat(
                "latency", 0.2 + 0.05 * float(chance.random()) + (0.6 if day in SLOW_DAYS else 0.0)
            )
            shares = [0.2 + day / 600, 0.8 - day / 600]
            mlops.set_stat(MultiLineGraph().name("shares").labels(["leaves", "stays"]).data(shares))
            if day % 10 == 0:
                mlops.set_event(f"campaign {day // 10}", "GenericEvent", {"budget": 1000 + day})
    with mlops.event_time(FIRST_DAY + timedelta(days=days.stop - 1, hours=5)):
        report_other_kinds()
    mlops.done()


def report_other_kinds() -> None:
    """A bar graph, a table, a graph, opaque data, HTML and a data alert."""
    mlops.set_stat(BarGraph().name("customers").cols(["basic", "plus", "max"]).data([120, 60, 20]))
    table = Table().name("largest").cols(["customer", "risk"])
    mlops.set_stat(table.add_row("1", ["Baker & Sons", 0.91]).add_row("2", ["<b>Smith</b>", 0.87]))
    graph = Graph().name("risk by age").x_title("age").y_title("risk").set_continuous()
    graph = graph.set_x_series([20, 30, 40, 50]).add_y_series("risk", [0.1, 0.2, 0.25, 0.5])
    mlops.set_stat(graph.annotate("pension", x=45))
    mlops.set_stat(Opaque().name("settings").data({"threshold": 0.5, "features": ["age", "visits"]}))
    mlops.set_stat(HTML().name("summary").data("<h2>Summary</h2><script>document.title = 'stolen'</script>"))
    mlops.data_alert("few customers", "only 200 today", {"rows": 200})


def revenue_csv() -> str:
    """The KPI that analysts upload: a weekly season, and 8 % less while answers were slow."""
    chance = np.random.default_rng(3)
    lines = ["day,revenue"]
    for day in range(DAYS):
        weekend = -150 if (FIRST_DAY + timedelta(days=day)).weekday() >= 5 else 0
        value = 1000 + weekend + float(chance.normal(0, 20)) - (80 if day >= SECOND_MODEL_ON else 0)
        lines.append(f"{FIRST_DAY + timedelta(days=day):%Y-%m-%d},{value:.2f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    {"train": train, "predict": predict}[sys.argv[1]](int(sys.argv[2]))

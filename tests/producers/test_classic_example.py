"""The example that every user of the library has seen, word for word, in both modes."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.producers.conftest import Component

CLASSIC = """
from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats

number_of_predictions = 1234
mlops.init()
mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, number_of_predictions)
mlops.done()
"""


def test_stand_alone_prints_one_line(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CLASSIC], capture_output=True, text=True, check=True, cwd=tmp_path, env={}
    )
    assert re.fullmatch(
        r"\d{19}, pipelinestat\.count, LINEGRAPH, TIME_SERIES, \{'pipelinestat\.count': 1234\} \n", ran.stdout
    )
    assert not ran.stderr


def test_agent_mode_sends_one_sample(component: Component) -> None:
    assert not component.run(CLASSIC)
    (batch,) = component.records("statistics", bool)
    (series,) = batch.series
    assert (series.name, list(series.values)) == ("pipelinestat.count", [1234.0])
    assert (series.category, series.graph_type, series.model_id) == ("TIME_SERIES", "LINEGRAPH", "")
    assert batch.origin.mlapp_id == "app"
    assert batch.origin.node_id == "train"
    assert batch.origin.pipeline_instance_id == "pipeline-1"
    assert batch.origin.agent_id == "host-1"
    assert batch.seq == 0


def test_connecting_needs_no_more_than_the_mode(component: Component) -> None:
    nothing_set = dict.fromkeys(
        ("PM_WORKFLOW_INSTANCE_ID", "PM_WORKFLOW_NODE_ID", "PM_PIPELINE_INSTANCE_ID", "AGENT_PUBLIC_ADDRESS"),
        "",
    )
    component.run(CLASSIC, **nothing_set)
    (batch,) = component.records("statistics", bool)
    assert batch.origin.mlapp_id == "default"
    assert batch.origin.node_id == ""
    assert batch.origin.agent_id

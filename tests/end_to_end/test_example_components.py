"""The components in ``examples/components``, stand-alone and connected: what becomes rows is what stand-alone prints."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.producers.conftest import ComponentOnPlatform, platform
from tests.producers.reported import Reported, arrived, by_series, printed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["platform"]  # the fixture of the producers' tests

pytestmark = pytest.mark.timeout(900)  # one test runs all of them

COMPONENTS = Path(__file__).parents[2] / "examples" / "components"
PREDICTORS = {f"offer-{variant}": ["offer_predictor.py", "--variant", variant] for variant in "ab"}
EXAMPLES: dict[str, list[str]] = {"cells": ["classify_cells.py"], "orders": ["watch_orders.py"]} | PREDICTORS
MORE_EXAMPLES = {
    "diabetes": ["regress_diabetes.py"],
    "wines": ["cluster_wines.py"],
    "digits": ["boost_digits.py"],
}
"""What they report goes the ways that those of ``EXAMPLES`` report by, too."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", COMPONENTS / command[0], *command[1:]],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def both_modes(
    platform: ComponentOnPlatform, jobs: Mapping[str, tuple[list[str], list[str]]]
) -> dict[str, list[Reported]]:
    """Run each job's stand-alone and connected command; what stand-alone printed, by node."""
    # One thread: sums in another order end in other digits.
    connected = platform.environment(PM_WORKFLOW_INSTANCE_ID="examples", OMP_NUM_THREADS="1")
    stand_alone = connected | {"PM_MLOPS_MODE": "stand_alone"}
    with ThreadPoolExecutor(2) as pool:

        def start(command: Sequence[str], node: str, environment: Mapping[str, str]) -> Future[str]:
            return pool.submit(run, command, platform.folder, {**environment, "PM_WORKFLOW_NODE_ID": node})

        lines = {node: start(alone, node, stand_alone) for node, (alone, _) in jobs.items()}
        sent = [start(command, node, connected) for node, (_, command) in jobs.items()]
        for job in sent:
            assert job.result() == ""
        return {node: printed(job.result()) for node, job in lines.items()}


def in_order(said: list[Reported], started_ms: int) -> dict[tuple[str, str], list[Any]]:
    """What was said of each name and line; with its time where that is another day's, and not the run's own."""
    return {
        series: [(one.content, one.time_ms if one.time_ms < started_ms else None) for one in of_it]
        for series, of_it in by_series(said).items()
    }


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(EXAMPLES, id="some"),
        pytest.param(EXAMPLES | MORE_EXAMPLES, id="all", marks=pytest.mark.long),
    ],
)
def test_what_becomes_rows_is_what_stand_alone_prints(
    platform: ComponentOnPlatform, subtests: pytest.Subtests, examples: Mapping[str, list[str]]
) -> None:
    started_ms = time.time_ns() // 1_000_000
    said = both_modes(platform, {node: (command, command) for node, command in examples.items()})
    platform.rows(
        "SELECT sum(samples) FROM statistics_by_day WHERE name = 'conversions'", lambda rows: rows == [(20,)]
    )
    totals = [
        str(int(float(by_series(said[node])[total, ""][-1].data)))
        for node in PREDICTORS
        for total in ("samples", "conversions")
    ]
    comparator = ["compare_offers.py"]
    said |= both_modes(platform, {"compare": ([*comparator, "--totals", *totals], comparator)})

    for node, expected in said.items():
        with subtests.test(node):
            rows = arrived(platform, node, expected)
            assert in_order(rows, started_ms) == in_order(expected, started_ms)

    with subtests.test("what the examples show"):
        series = {node: by_series(of_node) for node, of_node in said.items()}
        assert sum(of_it[0].kind[0] == "LINEGRAPH" for of_it in series["cells"].values()) >= 18
        assert {"Confusion Matrix", "ROC Curve", "Feature Importance"} <= {
            name for name, _ in series["cells"]
        }
        if "digits" in series:
            assert len(series["digits"]["validation auc", ""]) >= 10
        assert [one.name for one in said["orders"] if one.kind[1] is True] == ["huge order", "disk"]
        assert sum(one.time_ms < started_ms for one in said["orders"]) > 40
        assert [one.data for one in series["compare"]["Success", ""]] == ["1.0"]
        assert [one.name for one in said["compare"] if isinstance(one.kind[0], int)] == ["AB Test"]

    with subtests.test("models"):
        published = {
            "cells": ("cells", "cells", "ScikitLearn_3", 1, 64),
            "digits": ("digits", "eights", "Xgboost", 1, 64),
        }
        expected_models = [model for node, model in published.items() if node in examples]
        models = platform.rows(
            "SELECT node_id, name, format, size_bytes > 0, length(sha256) FROM models ORDER BY node_id",
            lambda rows: len(rows) >= len(expected_models),
        )
        assert models == expected_models
        carried = platform.rows(
            "SELECT DISTINCT node_id FROM histograms WHERE model_id IN (SELECT model_id FROM models) ORDER BY 1"
        )
        assert carried == [(node,) for node, *_ in expected_models]

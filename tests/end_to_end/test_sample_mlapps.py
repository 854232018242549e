"""The MLApps of ``examples/mlapps``, run by agents from their files to what becomes of their models."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import psutil
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_wine
from sklearn.tree import DecisionTreeClassifier

from parallelm.mcenter.cli import cli
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.plan import settings_path
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(600)

MLAPPS = Path(__file__).parents[2] / "examples" / "mlapps"


class Platform:
    """A stack with two agents, used by commands."""

    def __init__(self, stack: LocalStack) -> None:
        self._folder = stack.plan.folder
        self._runner = CliRunner(env={"MCENTER_CONFIG": str(settings_path(self._folder))})

    def mcenter(self, *arguments: str) -> str:
        done = self._runner.invoke(cli, arguments)
        assert done.exit_code == 0, f"{arguments}: {done.output}"
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.mcenter(*arguments, "--format", "json"))
        return found

    def runs(self, mlapp_id: str, node_id: str) -> list[dict[str, Any]]:
        return self.rows("runs", "list", "--mlapp", mlapp_id, "--node", node_id)

    def launch(self, file: str, *options: str) -> str:
        mlapp_id = self.mcenter("mlapps", "apply", str(MLAPPS / file), *options).split("'")[1]
        self.mcenter("mlapps", "launch", mlapp_id)
        return mlapp_id

    def programs(self, mlapp_id: str) -> list[psutil.Process]:
        """Processes of its runs, on any of the hosts."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = process.environ()
                if told.get("PM_WORKFLOW_INSTANCE_ID") == mlapp_id and str(self._folder) in told.get(
                    "MCENTER_RUN_FOLDER", ""
                ):
                    found.append(process)
        return found

    def succeeded(self, mlapp_id: str, node_id: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            ended = [run for run in self.runs(mlapp_id, node_id) if run["has_ended"]]
            assert all(run["state"] == "succeeded" for run in ended), ended
            return ended[0] if ended else None

        run: dict[str, Any] = wait_for(found, lambda: f"{node_id}: {self.mcenter('runs', 'list')}", 120)
        return run

    def model_of(self, mlapp_id: str, node_id: str) -> str:
        live = [
            row["model_id"]
            for row in self.rows("deployments", "list", "--mlapp", mlapp_id)
            if (row["node_id"], row["state"]) == (node_id, "active")
        ]
        return live[0] if live else ""

    def log(self, run: dict[str, Any], text: str) -> str:
        return wait_for(
            lambda: [
                line for line in self.mcenter("runs", "logs", run["run_id"]).splitlines() if text in line
            ],
            lambda: self.mcenter("runs", "logs", run["run_id"]),
        )[0]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with LocalStack(tmp_path_factory.mktemp("agents"), agents=2) as stack:
        yield Platform(stack)


@pytest.mark.long  # the README's commands do the same
def test_a_model_that_is_trained_is_deployed_used_and_told_of(platform: Platform) -> None:
    mlapp_id = platform.launch("train-predict-tell.yaml")
    platform.mcenter("mlapps", "run", mlapp_id, "fit")
    fitted = platform.succeeded(mlapp_id, "fit")
    assert "published a forest of 20 trees" in platform.log(fitted, "forest")
    sorted_ = platform.succeeded(mlapp_id, "sort")
    assert (sorted_["trigger"], sorted_["exit_code"]) == ("model", 0)
    assert "25 bottles in the last hour" in platform.log(platform.succeeded(mlapp_id, "tell"), "bottles")
    assert platform.model_of(mlapp_id, "sort")


@pytest.mark.long
def test_an_uploaded_model_is_the_one_that_a_node_begins_with(platform: Platform, tmp_path: Path) -> None:
    file = tmp_path / "wines.joblib"
    wines = load_wine()
    joblib.dump(DecisionTreeClassifier().fit(wines.data, wines.target), file)
    platform.mcenter("mlapps", "apply", str(MLAPPS / "predict.yaml"))
    uploaded = ("models", "upload", str(file), "--mlapp", "wines-by-hour", "--format", "scikitlearn_3")
    model = re.findall(r"model (\S+) of MLApp", platform.mcenter(*uploaded))[0]
    by_hour = platform.launch("predict.yaml", "--set", f"model={model}")
    platform.mcenter("mlapps", "run", by_hour, "sort")
    run = platform.succeeded(by_hour, "sort")
    assert run["model_id"] == model
    assert "bottles of each kind" in platform.log(run, "bottles")


@pytest.mark.long  # the demo's agents deliver models past a canary, to programs that run on
def test_a_service_is_given_a_better_model_while_it_serves_once_the_canary_has_seen_it(
    platform: Platform,
) -> None:
    mlapp_id = platform.launch("serve.yaml")
    platform.mcenter("mlapps", "run", mlapp_id, "fit")
    first = wait_for(lambda: platform.model_of(mlapp_id, "serve"), "the first model serves", 120)
    platform.mcenter("mlapps", "run", mlapp_id, "fit")
    wait_for(
        lambda: platform.model_of(mlapp_id, "serve") not in {"", first},
        lambda: platform.mcenter("deployments", "list", "--mlapp", mlapp_id),
        180,
    )
    second = platform.model_of(mlapp_id, "serve")
    [service] = platform.runs(mlapp_id, "serve")
    assert (service["state"], service["starts"]) == ("running", 1)
    assert platform.programs(mlapp_id)
    assert first in platform.log(service, f"serves with model {first}")
    assert second in platform.log(service, f"serves with model {second}")
    platform.mcenter("mlapps", "stop", mlapp_id)
    wait_for(
        lambda: all(
            run["state"] == "stopped"
            for node in ("serve", "serve-canary")
            for run in platform.runs(mlapp_id, node)
        ),
        "services end",
    )
    assert not platform.programs(mlapp_id)

"""README's commands as they stand there, in a folder of a newcomer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import load_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.cli import cli
from tests.mcenter.local_stack.conftest import stopped_at_the_end
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(900)  # a stack starts and ends within one test

REPOSITORY = Path(__file__).parent.parent.parent
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
README = (REPOSITORY / "README.md").read_text()
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    (block,) = [block for block in blocks("sh") if "mcenter up" in block]
    return [line.split(" #")[0].strip() for line in block.splitlines()]


def run(command: list[str], folder: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCENTER_", "PM_"))}
    if "MCENTER_CACHE" in os.environ:
        kept["MCENTER_CACHE"] = os.environ["MCENTER_CACHE"]
    finished = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, check=False, timeout=400
    )
    assert finished.returncode == 0, f"{command}: {finished.stdout}{finished.stderr}"
    return finished.stdout


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Path]:
    """A folder that looks like a clone with its environment set up; a stack that is left there is stopped."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    with stopped_at_the_end(tmp_path / ".mcenter"):
        yield tmp_path


def test_the_commands_work_in_their_order_and_a_component_reports_between_them(newcomer: Path) -> None:
    (example,) = blocks("python")
    script = newcomer / "component.py"
    script.write_text(example)
    up, status, apply, launch, train, runs, query, tail, down = commands()

    assert "The stack is ready" in run(up.split(), newcomer)
    assert "pipelinestat.count, LINEGRAPH, TIME_SERIES, {'pipelinestat.count': 7}" in run(
        [str(BIN / "python"), str(script)], newcomer
    )
    assert run([str(BIN / "python"), str(script)], newcomer, PM_MLOPS_MODE="agent") == ""
    assert "healthy" in run(status.split(), newcomer)
    assert "wines-told" in run(apply.split(), newcomer)
    assert "launched" in run(launch.split(), newcomer)
    assert "is told to start it" in run(train.split(), newcomer)
    with clickhouse_client(
        load_settings({}, file=newcomer / ".mcenter" / "mcenter.toml").clickhouse
    ) as client:
        wait_for(
            lambda: client.execute(
                "SELECT 1 FROM run_transitions WHERE node_id = 'tell' AND state = 'succeeded'"
            ),
            "the last node has run",
        )
        # That of the component, and that of the node which sorts wines.
        wait_for(
            lambda: (
                client.execute("SELECT count() FROM statistics WHERE name = 'pipelinestat.count'") == [(2,)]
            )
        )
    assert re.search(r"tell .* succeeded", run(runs.split(), newcomer))
    assert "pipelinestat.count" in run(tail.split(), newcomer)
    assert re.search(r"pipelinestat\.count +2\b", run(["sh", "-c", query], newcomer))
    follow_the_pages(newcomer)
    assert "stopped" in run(down.split(), newcomer)


PAGES = {
    "move-from-mcenter": ("train-predict", {"train", "predict"}),
    "run-your-pipelines": ("wines-in-steps", {"fit", "sort"}),
    "agents": ("wines-served", {"fit"}),
}
"""Pages that begin with commands on the stack and files of a newcomer, each with its MLApp and the nodes that are run."""


class Reader:
    """Does what the pages say, on the stack of a newcomer."""

    def __init__(self, newcomer: Path) -> None:
        self._newcomer = newcomer
        self._runner = CliRunner(env={"MCENTER_CONFIG": str(newcomer / ".mcenter" / "mcenter.toml")})

    def mcenter(self, *arguments: str) -> str:
        with contextlib.chdir(self._newcomer):
            done = self._runner.invoke(cli, arguments)
        assert done.exit_code == 0, f"{arguments}: {done.output}"
        return done.stdout

    def follow(self, page: str, mlapp_id: str, nodes: set[str]) -> None:
        """Its commands as they stand there, up to the runs' success."""
        text = (REPOSITORY / "docs" / f"{page}.md").read_text()
        for line in next(block for block in SHELL.findall(text) if "mlapps apply" in block).splitlines():
            self.mcenter(*shlex.split(line, comments=True)[1:])
        wait_for(lambda: nodes <= set(self.succeeded(mlapp_id)), lambda: self.mcenter("runs", "list"), 120)

    def succeeded(self, mlapp_id: str) -> dict[str, str]:
        """Nodes that have run, each with the model of its last run."""
        runs = json.loads(self.mcenter("runs", "list", "--mlapp", mlapp_id, "--format", "json"))
        assert not [run for run in runs if run["state"] in {"failed", "lost", "missed"}], runs
        return {run["node_id"]: run["model_id"] for run in runs if run["state"] == "succeeded"}


def follow_the_pages(newcomer: Path) -> None:
    """What was moved from the original runs with its model, and goes back as it was."""
    reader = Reader(newcomer)
    for page, (mlapp_id, nodes) in PAGES.items():
        reader.follow(page, mlapp_id, nodes)
    deployed = ("deployments", "list", "--mlapp", "train-predict", "--node", "predict", "--format", "json")
    wait_for(lambda: json.loads(reader.mcenter(*deployed)), "the model is deployed")
    reader.mcenter("mlapps", "run", "train-predict", "predict")
    wait_for(lambda: reader.succeeded("train-predict")["predict"], "it predicts with the model")

    original, exported = newcomer / "examples/original/train-predict", newcomer / "train-predict-exported"
    assert json.loads((exported / "mlapp.json").read_text()) == json.loads(
        (original / "mlapp.json").read_text()
    )
    for program in original.rglob("*.py"):
        (ours,) = exported.rglob(program.name)
        assert ours.read_text() == program.read_text()


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_it_links_to_exists() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (REPOSITORY / link.partition("#")[0]).exists(), link

"""README's commands as they stand there, in a folder of a newcomer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import load_settings
from parallelm.connections.clickhouse import clickhouse_client
from tests.mcenter.local_stack.conftest import stopped_at_the_end
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(900)  # a stack starts and ends within one test

REPOSITORY = Path(__file__).parent.parent.parent
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
    assert "stopped" in run(down.split(), newcomer)


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_it_links_to_exists() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (REPOSITORY / link.partition("#")[0]).exists(), link

"""The distribution as a user gets it: built, installed in an empty environment, used."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
CLASSIC_EXAMPLE = """
from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats

number_of_predictions = 7
mlops.init()
mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, number_of_predictions)
mlops.done()
"""


def run(*command: str | Path, cwd: Path) -> str:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PM_", "MCENTER_", "PYTHON"))
    }
    finished = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder
    )
    (built,) = folder.glob("*.whl")
    return built


def installed(wheel: Path, folder: Path, extra: str = "") -> Path:
    """Folder of the commands of an empty environment with the wheel in it."""
    venv.create(folder / "environment", with_pip=True)
    commands = folder / "environment" / "bin"
    constraints = REPOSITORY / "constraints.txt"
    run(commands / "python", "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}{extra}", cwd=folder)
    return commands


@pytest.mark.wheel
def test_the_base_alone_runs_the_classic_example_stand_alone(wheel: Path, tmp_path: Path) -> None:
    commands = installed(wheel, tmp_path)
    lines = run(commands / "python", "-c", CLASSIC_EXAMPLE, cwd=tmp_path).splitlines()
    assert [line.split(", ", 1)[1] for line in lines if "pipelinestat.count" in line] == [
        "pipelinestat.count, LINEGRAPH, TIME_SERIES, {'pipelinestat.count': 7} "
    ]
    packages = run(commands / "python", "-m", "pip", "list", cwd=tmp_path).lower()
    for heavy in ("faust", "pandas", "scikit", "pydantic", "chdb"):
        assert heavy not in packages


@pytest.mark.wheel
def test_with_the_platform_the_command_tells_what_it_can_do(wheel: Path, tmp_path: Path) -> None:
    commands = installed(wheel, tmp_path, "[platform]")
    top = run(commands / "mcenter", "--help", cwd=tmp_path)
    for name in ("up", "query", "mlapp", "sink", "processors"):
        assert f"\n  {name} " in top
        assert "Usage: mcenter" in run(commands / "mcenter", name, "--help", cwd=tmp_path)

"""The distribution as a user gets it: built, installed in an empty environment, used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from assets import hatch_build
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parent.parent
CLASSIC_EXAMPLE = """
from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats

number_of_predictions = 7
mlops.init()
mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, number_of_predictions)
mlops.done()
"""


def run(*command: str | Path, cwd: Path, **more: str) -> str:
    kept = (name for name in os.environ if not name.startswith(("PM_", "MCENTER_", "PYTHON")))
    environment = {name: os.environ[name] for name in kept} | more
    finished = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(
        sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder
    )
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as pip does for whoever has only that; without npm."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
    run(*build, cwd=folder, PATH="/nowhere")
    (built,) = folder.glob("*.whl")
    return built


def environment_with(wheel: Path, folder: Path, *options: str | Path) -> Path:
    """An environment that was empty before the wheel was installed in it."""
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    pip(environment, "install", "-q", "--no-compile", *options, wheel)
    return environment


def pip(environment: Path, *arguments: str | Path) -> str:
    """The tests' own pip on another environment, which then needs none."""
    return run(sys.executable, "-m", "pip", "--python", environment, *arguments, cwd=environment)


def site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))


def needed_by(environment: Path, extra: str) -> Iterator[Distribution]:
    """What the wheel's extra asks for, and what that asks for, as it is installed beside the tests."""
    (ours,) = distributions(name="mcenter-stream", path=[str(site_packages(environment))])
    waiting, seen = [(ours, {extra})], set()
    while waiting:
        asking, extras = waiting.pop()
        for requirement in map(Requirement, asking.requires or ()):
            wanted = (requirement.name, frozenset(requirement.extras))
            marker = requirement.marker
            if wanted in seen or not (marker is None or any(marker.evaluate({"extra": e}) for e in extras)):
                continue
            seen.add(wanted)
            found = distribution(requirement.name)
            waiting.append((found, {"", *requirement.extras}))
            yield found


@pytest.mark.wheel
def test_the_wheel_has_what_the_pages_load_and_its_licences(wheel: Path) -> None:
    folder = "parallelm/server/static/"
    with zipfile.ZipFile(wheel) as archive:
        static = {name.removeprefix(folder) for name in archive.namelist() if name.startswith(folder)}
    assert static >= {"app.js", "app.css", "icon.svg"}
    assert static >= {f"vendor/{name}" for name in hatch_build.FILES}


def test_what_npm_brings_is_locked_by_checksum_and_not_by_registry() -> None:
    for lock in [
        path for room in ("server", "tests") for path in (REPOSITORY / room).rglob("package-lock.json")
    ]:
        packages = json.loads(lock.read_text())["packages"]
        assert len(packages) > 1
        for name, package in packages.items():
            assert "resolved" not in package
            assert "integrity" in package or not name


def test_without_a_registry_the_build_says_what_is_missing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(hatch_build.HERE, source / "assets")
    (source / "parallelm/server/static").mkdir(parents=True)
    with pytest.raises(AssertionError, match=r"npm cannot fetch echarts, .* must be reachable"):
        run(
            sys.executable,
            source / "assets/hatch_build.py",
            cwd=tmp_path,
            NPM_CONFIG_REGISTRY="http://127.0.0.1:9",
            NPM_CONFIG_CACHE=str(tmp_path / "cache"),
        )


@pytest.mark.wheel
def test_the_base_alone_runs_the_classic_example_stand_alone(wheel: Path, tmp_path: Path) -> None:
    base = environment_with(wheel, tmp_path, "-c", REPOSITORY / "constraints.txt")
    lines = run(base / "bin" / "python", "-c", CLASSIC_EXAMPLE, cwd=tmp_path).splitlines()
    assert [line.split(", ", 1)[1] for line in lines if "pipelinestat.count" in line] == [
        "pipelinestat.count, LINEGRAPH, TIME_SERIES, {'pipelinestat.count': 7} "
    ]
    packages = pip(base, "list").lower()
    for heavy in ("faust", "pandas", "scikit", "pydantic", "chdb"):
        assert heavy not in packages


@pytest.mark.wheel
def test_with_the_platform_the_command_tells_what_it_can_do(wheel: Path, tmp_path: Path) -> None:
    """The extra's packages are linked, not installed again: pip has resolved and fetched them for these tests."""
    environment = environment_with(wheel, tmp_path, "--no-deps")
    site = site_packages(environment)
    for needed in needed_by(environment, "platform"):
        for name in {file.parts[0] for file in needed.files or ()} - {".."}:
            if not (site / name).exists():
                (site / name).symlink_to(needed.locate_file(name))
    mcenter = environment / "bin" / "mcenter"
    top = run(mcenter, "--help", cwd=tmp_path)
    for name in ("up", "query", "mlapp", "sink", "processors"):
        assert f"\n  {name} " in top
        assert "Usage: mcenter" in run(mcenter, name, "--help", cwd=tmp_path)

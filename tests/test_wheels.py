"""The distribution as a user gets it: built, installed in an empty environment, used."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from assets import hatch_build
from packaging.requirements import Requirement

from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parent.parent
WITHOUT_NPM = {"PATH": "/nowhere", "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9"}
MODULES = {
    "signing": ["parallelm.schemas"],
    "metrics": ["parallelm.mlops"],
    "platform": [
        *(
            "parallelm.connections",
            "parallelm.schemas",
            "parallelm.definitions",
            "parallelm.stream_processors",
        ),
        *("parallelm.sinks", "parallelm.warehouse", "parallelm.supervision", "parallelm.operations"),
        "parallelm.agent",
    ],
    "server": ["parallelm.server"],
    "postgresql": ["parallelm.server", "psycopg"],
    "kubernetes": ["parallelm.agent", "parallelm.agent.kubernetes"],
    "plots": ["parallelm.operations", "parallelm.operations.plots"],
    "local": ["parallelm.mcenter"],
    "demo": ["parallelm.mcenter", "parallelm.mcenter.demo"],
}
"""By extra, packages that are imported with all their modules, but for those of other extras."""
IMPORT_ALL = """
import importlib, pkgutil, sys
others = {"parallelm.agent.kubernetes", "parallelm.operations.plots", "parallelm.mcenter.demo"} - set(sys.argv)
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    if name.startswith("parallelm."):
        for each in pkgutil.walk_packages(package.__path__, name + "."):
            if not each.name.endswith(("__main__", ".env")) and not each.name.startswith(tuple(others)):
                importlib.import_module(each.name)
print(*sys.modules)
"""
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


BUILT = os.environ.get("MCENTER_TEST_DISTRIBUTION")
"""Folder with the sdist and the wheel to try, and no others: what is published then. Otherwise the tests build their own."""


def only(folder: str | Path, pattern: str) -> Path:
    (found,) = Path(folder).resolve().glob(pattern)
    return found


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if BUILT:
        return only(BUILT, "*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    run(
        sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder
    )
    return only(folder, "*.tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as pip does for whoever has only that; without npm, and without what it would fetch."""
    if BUILT:
        return only(BUILT, "*.whl")
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
    run(*build, cwd=folder, **WITHOUT_NPM)
    return only(folder, "*.whl")


def environment_with(wheel: Path, folder: Path, *options: str | Path) -> Path:
    """An environment that was empty before the wheel was installed in it."""
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    pip(environment, "install", "-q", "--no-compile", *options, wheel)
    return environment


def pip(environment: Path, *arguments: str | Path) -> str:
    """The tests' own pip on another environment, which then needs none."""
    command = (sys.executable, "-m", "pip", "--python", environment, *arguments)
    return run(*command, cwd=environment, **WITHOUT_NPM)


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
def test_the_base_alone_runs_the_classic_example_stand_alone_and_says_what_commands_need(
    wheel: Path, tmp_path: Path
) -> None:
    base = environment_with(wheel, tmp_path, "-c", REPOSITORY / "constraints.txt")
    lines = run(base / "bin" / "python", "-c", CLASSIC_EXAMPLE, cwd=tmp_path).splitlines()
    assert [line.split(", ", 1)[1] for line in lines if "pipelinestat.count" in line] == [
        "pipelinestat.count, LINEGRAPH, TIME_SERIES, {'pipelinestat.count': 7} "
    ]
    command = [base / "bin" / "mcenter", "status"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("mcenter: click is not installed; `pip install 'mcenter-stream[local]'`")
    packages = pip(base, "list").lower()
    for heavy in ("faust", "pandas", "scikit", "pydantic", "chdb"):
        assert heavy not in packages


def linked(wheel: Path, folder: Path, extra: str) -> Path:
    """An environment with the wheel and an extra, whose packages are linked: pip has resolved and fetched them for these tests."""
    environment = environment_with(wheel, folder, "--no-deps")
    site = site_packages(environment)
    for needed in needed_by(environment, extra):
        for name in {file.parts[0] for file in needed.files or ()} - {".."}:
            if not (site / name).exists():
                (site / name).symlink_to(needed.locate_file(name))
    return environment


@pytest.mark.wheel
def test_with_the_platform_the_command_tells_what_it_can_do(wheel: Path, tmp_path: Path) -> None:
    mcenter = linked(wheel, tmp_path, "platform") / "bin" / "mcenter"
    top = run(mcenter, "--help", cwd=tmp_path)
    for name in ("up", "query", "mlapps", "sink", "processors"):
        assert f"\n  {name} " in top
        assert "Usage: mcenter" in run(mcenter, name, "--help", cwd=tmp_path)
    run(mcenter, "examples", cwd=tmp_path)
    assert "'hosts' is valid" in run(
        mcenter, "mlapps", "validate", "examples/monitoring/hosts.yaml", cwd=tmp_path
    )
    units = {unit.name for unit in (REPOSITORY / "examples" / "systemd").iterdir()}
    assert {unit.name for unit in (tmp_path / "examples" / "systemd").iterdir()} == units


@pytest.mark.wheel
@pytest.mark.long
@pytest.mark.parametrize("extra", MODULES)
def test_with_an_extra_everything_that_is_for_it_is_imported(wheel: Path, tmp_path: Path, extra: str) -> None:
    python = linked(wheel, tmp_path, extra) / "bin" / "python"
    assert set(MODULES[extra]) <= set(run(python, "-c", IMPORT_ALL, *MODULES[extra], cwd=tmp_path).split())


def extras() -> list[str]:
    """Of users."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return [extra for extra in project["optional-dependencies"] if extra not in {"dev", "docs"}]


def test_every_extra_has_what_it_is_tried_with() -> None:
    assert sorted(MODULES) == sorted(extras())


@pytest.mark.wheel
@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_with_all_extras_the_stack_serves_its_pages_and_runs_an_example(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In an environment that pip fills as it does a user's."""
    tried: Path = request.getfixturevalue(kind)
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    # With its hash: what pip has built of an earlier file under the same name is in its cache.
    digest = hashlib.sha256(tried.read_bytes()).hexdigest()
    wanted = f"mcenter-stream[{','.join(extras())}] @ {tried.as_uri()}#sha256={digest}"
    pip(environment, "install", "-q", "--no-compile", "-c", REPOSITORY / "constraints.txt", wanted)
    pip(environment, "check")
    mcenter = environment / "bin" / "mcenter"
    assert "The stack is ready." in run(mcenter, "up", "--detach", cwd=tmp_path, PATH="/nowhere")
    try:
        port = json.loads((tmp_path / ".mcenter" / "ports.json").read_text())["server"]
        page = httpx.get(f"http://127.0.0.1:{port}/sign-in", timeout=60)
        assert page.status_code == 200
        loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert any("vendor/" in path for path in loaded)
        for path in loaded:
            assert httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code == 200, path
        run(mcenter, "examples", cwd=tmp_path)
        run(mcenter, "mlapps", "apply", "examples/mlapps/train-predict.yaml", cwd=tmp_path)
        run(mcenter, "mlapps", "run", "wines", "fit", cwd=tmp_path)
        runs = (mcenter, "runs", "list", "--mlapp", "wines", "--format", "json")
        wait_for(lambda: [each["state"] for each in json.loads(run(*runs, cwd=tmp_path))] == ["succeeded"])
    finally:
        run(mcenter, "down", cwd=tmp_path)

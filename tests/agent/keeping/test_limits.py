"""Limits of runs by cgroups: on a folder that looks like the kernel's tree, and on the kernel's where tests may write one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from parallelm.agent.keeping.cgroups import delegated
from tests.agent.keeping.kept_runs import texts_of
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agent.keeping.kept_runs import Host


def tree(folder: Path, path: str, processes: str = "", controllers: str = "cpu memory pids") -> Path:
    """A tree in which the agent is at ``path``; returns what ``/proc/self/cgroup`` says."""
    place = folder / "tree" / path
    place.mkdir(parents=True)
    (folder / "tree" / "cgroup.controllers").write_text("cpu memory")
    for each in {place, place.parent} - {folder}:
        (each / "cgroup.controllers").write_text(controllers)
        (each / "cgroup.subtree_control").touch()
    (place / "cgroup.procs").write_text(processes)
    own = folder / "own"
    own.write_text(f"4:memory:/elsewhere\n0::/{path}\n")
    return own


def test_an_agent_in_a_delegated_subgroup_has_the_unit(tmp_path: Path):
    own = tree(tmp_path, "unit.service/agent", f"{os.getpid()}\n1")

    assert delegated(tmp_path / "tree", own) == str(tmp_path / "tree" / "unit.service")
    assert (tmp_path / "tree/unit.service/cgroup.subtree_control").read_text() == "+memory +cpu"


def test_an_agent_that_is_alone_moves_itself(tmp_path: Path):
    own = tree(tmp_path, "container", str(os.getpid()))
    left = tmp_path / "tree" / "container" / "run-r1.1"
    left.mkdir()

    assert delegated(tmp_path / "tree", own) == str(tmp_path / "tree" / "container")
    assert (tmp_path / "tree/container/agent/cgroup.procs").read_text() == str(os.getpid())
    assert not left.exists()


@pytest.mark.parametrize(
    ("processes", "controllers", "why"),
    [
        ("1\n2", "cpu memory", "has other processes than the agent's; set Delegate=yes"),
        ("", "cpu", "was not given the controllers memory"),
    ],
)
def test_a_tree_that_is_not_the_agents_is_left_alone(
    tmp_path: Path, processes: str, controllers: str, why: str, caplog: pytest.LogCaptureFixture
):
    own = tree(tmp_path, "session", processes, controllers)

    with caplog.at_level("INFO"):
        assert delegated(tmp_path / "tree", own) == ""
    assert why in caplog.text
    assert (tmp_path / "tree/session/cgroup.subtree_control").read_text() == ""


def test_a_host_without_cgroups_has_none(tmp_path: Path):
    assert delegated(tmp_path, tmp_path / "missing") == ""


def test_a_run_has_its_limits_and_says_that_it_was_killed_for_memory(host: Host, tmp_path: Path):
    cgroups = tmp_path / "cgroups"
    cgroups.mkdir()
    killed = f"""
import os, pathlib
place = pathlib.Path({str(cgroups)!r}) / "run-run-1.1"
for name in ("memory.max", "memory.oom.group", "cpu.max"):
    print((place / name).read_text())
print((place / "cgroup.procs").read_text() == str(os.getpid()))
(place / "memory.events").write_text("low 0\\noom 1\\noom_kill 1\\noom_group_kill 1\\n")
os.kill(os.getpid(), 9)
"""
    run = host.start(killed, memory_bytes=1 << 30, cpus=1.5, cgroups=str(cgroups))
    ending = host.ending(run)

    assert texts_of(run) == [str(1 << 30), "1", "150000 100000", "True"]
    assert (ending.outcome, ending.message) == ("failed", "step step-1: out of memory")
    assert run.progress().limits == {"memory": "cgroup", "cpus": "cgroup"}


def test_what_is_not_enforced_is_said_once_in_the_log(host: Host):
    run = host.start("print('up')", "print('up')", cpus=2.0)
    host.ending(run)

    assert texts_of(run, "keeper") == ["cpus: 2 is not enforced: the agent has no cgroups"]


def test_a_cgroup_that_cannot_be_made_leaves_the_run_to_the_other_way(host: Host, tmp_path: Path):
    run = host.start("print('up')", memory_bytes=1 << 30, cpus=2.0, cgroups=str(tmp_path / "missing"))

    assert host.ending(run).outcome == "succeeded"
    assert run.progress().limits == {"memory": "rlimit", "cpus": "none"}
    assert "No such file" in texts_of(run, "keeper")[0]


@pytest.fixture
def unit() -> Iterator[Path]:
    """A new cgroup of the kernel, below the nearest one that hands memory and CPU on: as a unit with ``Delegate=yes`` has it."""
    own = next(
        (
            line.removeprefix("0::/")
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::/")
        ),
        "",
    )
    trees = [Path(each.mountpoint) for each in psutil.disk_partitions(all=True) if each.fstype == "cgroup2"]
    for place in (place for tree_ in trees for place in (tree_ / own, *(tree_ / own).parents)):
        handed_on = place / "cgroup.subtree_control"
        if not handed_on.is_file() or not {"memory", "cpu"} <= set(handed_on.read_text().split()):
            continue
        made = place / f"mcenter-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            if entered(made, "print('in')").stdout != "in\n":
                continue
            yield made
            return
        finally:
            for each in (made / "agent", made):
                if each.is_dir():
                    each.rmdir()
    pytest.skip("no cgroups of version 2 with memory and CPU in which this user may run processes")


def entered(cgroup: Path, program: str) -> subprocess.CompletedProcess[str]:
    """A Python program in a cgroup."""
    enter = (
        f"import os, pathlib\npathlib.Path({str(cgroup)!r}, 'cgroup.procs').write_text(str(os.getpid()))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", enter + program], capture_output=True, text=True, check=False
    )


def test_the_kernel_holds_a_run_to_its_limits(unit: Path, host: Host):
    tree_ = next(place for place in unit.parents if not (place.parent / "cgroup.procs").exists())
    agent = entered(
        unit,
        f"from parallelm.agent.keeping.cgroups import delegated\nprint(delegated(pathlib.Path({str(tree_)!r})))",
    )
    assert agent.stdout == f"{unit}\n", agent.stderr
    if (swap := unit / "memory.swap.max").exists():
        swap.write_text("0")
    greedy = f"""
import pathlib
[own] = [line[4:] for line in open("/proc/self/cgroup").read().splitlines() if line.startswith("0::/")]
print(own.rpartition("/")[2], pathlib.Path({str(tree_)!r}, own, "cpu.max").read_text().strip())
print(len(b"x" * (512 << 20)))
"""
    run = host.start(greedy, memory_bytes=64 << 20, cpus=0.5, cgroups=str(unit))
    ending = host.ending(run)

    assert texts_of(run) == ["run-run-1.1 50000 100000"]
    assert (ending.outcome, ending.message) == ("failed", "step step-1: out of memory")
    assert run.progress().limits == {"memory": "cgroup", "cpus": "cgroup"}
    wait_for(lambda: not (unit / "run-run-1.1").exists(), "its cgroup is removed")

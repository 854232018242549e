"""Limits of runs by cgroups, on a folder that looks like the kernel's tree: there is none that tests may write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.keeping.cgroups import delegated
from tests.agent.keeping.kept_runs import texts_of

if TYPE_CHECKING:
    from pathlib import Path

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

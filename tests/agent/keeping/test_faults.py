"""Kills at any moment: the agent, keepers, the zygote. No run is lost without being told so, none runs twice.

``FAULT_ROUNDS`` gives more rounds, ``FAULT_SEED`` others; `make faults` runs them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.keeping import zygote_client
from parallelm.agent.keeping.orphans import orphans
from parallelm.agent.keeping.process_identity import ProcessIdentity, parent_of
from parallelm.agent.keeping.process_tree import children
from tests.agent.keeping.kept_runs import Host, texts_of
from tests.waiting import wait_for

if TYPE_CHECKING:
    from parallelm.agent.keeping.run_folder import RunFolder

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "6"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
MOST_OWN_KB = 1000
"""Of a keeper's memory; the interpreter that it shares with others has ten times that."""
TREE = """
import os, time
print("up")
if os.fork() == 0:
    os.setsid()
    os.fork()
time.sleep(1000)
"""
AGENT = """
import sys, time
from pathlib import Path
from parallelm.agent.keeping.keepers import Keepers
from parallelm.agent.keeping.process_identity import ProcessIdentity
from parallelm.agent.keeping.plan import Plan, StepPlan
keepers = Keepers(Path(sys.argv[1]), end_with=ProcessIdentity.of(int(sys.argv[2])))
for number in range(int(sys.argv[3])):
    run, _ = keepers.accept(f"run-{number}", 1, "{}")
    if keepers.phase(run) == "accepted":
        step = StepPlan(step_id="s", command=["sh", "-c", "echo begun >> begun; sleep 1000"], folder=str(run.work))
        keepers.start(run, Plan(steps=[step], environ={"PATH": "/usr/bin:/bin"}))
print("all", flush=True)
time.sleep(1000)
"""


def running_tree(host: Host) -> RunFolder:
    run = host.start(TREE)
    wait_for(lambda: len(orphans(run.path)) == 3)
    return run


def keeper_of(run: RunFolder) -> int:
    keeper = run.keeper()
    assert keeper is not None
    return keeper.pid


def test_what_a_killed_keeper_leaves_is_killed_even_while_no_agent_is_there(host: Host):
    run = running_tree(host)
    os.kill(keeper_of(run), signal.SIGKILL)
    wait_for(lambda: not orphans(run.path))

    ending = host.ending(run)
    assert ending.outcome == "lost"
    assert "was killed" in ending.message


def test_keepers_share_most_of_their_memory(host: Host):
    runs = [running_tree(host) for _ in range(3)]

    for run in runs:
        rollup = (Path("/proc") / str(keeper_of(run)) / "smaps_rollup").read_text().split()
        own_kb = int(rollup[rollup.index("Private_Dirty:") + 1])
        assert own_kb < MOST_OWN_KB


def test_runs_outlive_the_zygote_and_new_ones_begin_by_another(host: Host):
    run = running_tree(host)
    zygote = parent_of(keeper_of(run))
    assert zygote is not None
    os.kill(zygote, signal.SIGKILL)

    second = running_tree(host)
    assert parent_of(keeper_of(second)) != zygote
    assert host.keepers.phase(run) == "kept"
    os.kill(keeper_of(run), signal.SIGKILL)  # nobody is there to reap what it leaves, but the agent

    assert host.ending(run).outcome == "lost"
    assert not orphans(run.path)


def test_an_upgraded_agent_starts_keepers_of_its_own_code_and_leaves_the_others(
    host: Host, monkeypatch: pytest.MonkeyPatch
):
    soon = "import parallelm.agent.keeping.zygote as zygote; zygote.IDLE_MS = 3000; main()"
    monkeypatch.setattr(zygote_client, "_PROGRAM", zygote_client._PROGRAM.replace("main()", soon))
    run = running_tree(host)
    zygote = parent_of(keeper_of(run))
    assert zygote is not None
    former = ProcessIdentity.of(zygote)
    host.keepers._zygote._code = "of the upgraded agent"

    second = running_tree(host)

    assert parent_of(keeper_of(run)) == former.pid
    assert parent_of(keeper_of(second)) != former.pid
    os.kill(keeper_of(run), signal.SIGKILL)
    wait_for(lambda: not orphans(run.path))  # it still sees to what a keeper leaves
    wait_for(lambda: not former.is_alive())


def test_all_ends_with_the_process_that_it_was_started_to_end_with(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as supervisor:
        try:
            agent = start_agent(tmp_path, supervisor.pid, 3)
            host = Host(tmp_path)
            runs = host.keepers.runs()
            wait_for(lambda: all(orphans(run.path) for run in runs))
            zygote = ProcessIdentity.of(parent_of(keeper_of(runs[0])) or 0)
        finally:
            supervisor.kill()
    for run in runs:
        ending = host.ending(run)
        assert (ending.outcome, "has ended" in ending.message) == ("stopped", True)
        assert not orphans(run.path)
    wait_for(lambda: not zygote.is_alive())
    agent.kill()
    agent.communicate()
    host.close()


def start_agent(folder: Path, supervisor: int, runs: int, *, wait: bool = True) -> subprocess.Popen[bytes]:
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(folder), str(supervisor), str(runs)], stdout=subprocess.PIPE
    )
    if wait:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"all\n"
    return agent


def begins_of(run: RunFolder) -> str:
    """What its programs have written of their beginning; the shell makes the file first, and then writes."""
    file = run.work / "begun"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_no_run_is_lost_or_doubled_whoever_is_killed(tmp_path: Path, round_number: int):
    chance = random.Random(f"{SEED} {round_number}")
    host = Host(tmp_path)
    (tmp_path / "runs").mkdir(exist_ok=True)
    count, killed = 6, set()
    for _ in range(4):
        agent = start_agent(tmp_path, os.getpid(), count, wait=False)
        time.sleep(chance.random() * 0.4)  # the kill may come at any moment
        agent.kill()
        agent.communicate()
        kept = [run for run in host.keepers.runs() if run.keeper() is not None]
        victim = chance.choice(["nobody", "keeper", "zygote"])
        if kept and victim == "keeper":
            chosen = chance.choice(kept)
            os.kill(keeper_of(chosen), signal.SIGKILL) if host.keepers.phase(chosen) == "kept" else None
            killed.add(chosen.path.name)
        elif kept and victim == "zygote" and (zygote := parent_of(keeper_of(kept[0]))) not in {None, 1}:
            assert zygote is not None
            os.kill(zygote, signal.SIGKILL) if children(zygote) else None
    agent = start_agent(tmp_path, os.getpid(), count)
    agent.kill()
    agent.communicate()

    runs = host.keepers.runs()
    assert len(runs) == count
    for run in runs:
        if run.path.name in killed:
            ending = host.ending(run)
            assert ending.outcome == "lost"
            assert not orphans(run.path)
        else:
            wait_for(partial(begins_of, run), run.progress)
            assert host.keepers.phase(run) == "kept"
        assert begins_of(run) in {"", "begun\n"}
    host.close()
    assert texts_of(runs[0]) == []

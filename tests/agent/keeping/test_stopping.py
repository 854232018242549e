"""Ends of runs: programs that do not want to end, what they leave behind, time limits, leases, restarts."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.keeping.orphans import orphans
from parallelm.agent.keeping.plan import RestartPlan
from parallelm.agent.keeping.timer import boot_time_s
from tests.agent.keeping.kept_runs import lines_of, texts_of
from tests.waiting import wait_for

if TYPE_CHECKING:
    from parallelm.agent.keeping.run_folder import RunFolder
    from tests.agent.keeping.kept_runs import Host

SLEEP = ["sleep", "1000"]
DEAF_TREE = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    os.fork()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
print("up")
time.sleep(1000)
"""
LEAVES_A_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    time.sleep(1000)
os.wait()
print("done")
sys.exit(7)
"""


def left_of(run: RunFolder) -> int:
    return len(orphans(run.path))


def test_a_tree_that_ignores_sigterm_is_killed_after_its_grace(host: Host):
    run = host.start(DEAF_TREE, stop_grace_s=0.3)
    wait_for(lambda: len(texts_of(run)) == 8, lambda: lines_of(run))

    host.keepers.stop(run, "enough")

    ending = host.ending(run)
    assert (ending.outcome, ending.exit_code) == ("stopped", -signal.SIGKILL)
    assert left_of(run) == 0


def test_a_shorter_grace_holds_for_a_stop_that_goes_on(host: Host):
    run = host.start(DEAF_TREE, stop_grace_s=1000)
    host.wait_for_line(run, "up")
    host.keepers.stop(run, "enough")
    host.keepers.stop(run, "now", grace_s=0)

    assert host.ending(run).message == "enough"
    assert left_of(run) == 0


def test_what_a_program_leaves_behind_ends_with_it(host: Host):
    ending = host.ending(run := host.start(LEAVES_A_DAEMON))

    assert (ending.outcome, ending.exit_code) == ("failed", 7)
    assert left_of(run) == 0


def test_a_run_ends_at_its_time_limit(host: Host):
    ending = host.ending(run := host.start(SLEEP, time_limit_s=0.3))

    assert ending.outcome == "timed_out"
    assert left_of(run) == 0


def test_a_run_without_its_lease_has_ended_before_the_lease_does(host: Host):
    host.ending(host.start("pass"))  # what starts keepers is there
    over_at_ms = (time.time() + 8) * 1000
    run = host.start(DEAF_TREE, lease_until_s=boot_time_s() + 8, lease_grace_s=5, stop_grace_s=1000)
    host.wait_for_line(run, "up")
    ending = host.ending(run)

    assert ending.ended_at_ms < over_at_ms
    assert ending.outcome == "lease_lost"
    assert left_of(run) == 0


def test_a_lease_that_is_extended_goes_on(host: Host):
    run = host.start(SLEEP, lease_until_s=boot_time_s() + 0.4, lease_grace_s=0.1)
    host.keepers.extend_lease(run, boot_time_s() + 1000)
    with pytest.raises(AssertionError, match="not within"):
        wait_for(run.ending, deadline_s=0.8)  # the first lease is over


def test_a_run_whose_lease_is_over_does_not_begin(host: Host):
    ending = host.ending(host.start(SLEEP, lease_until_s=boot_time_s() - 1))

    assert (ending.outcome, ending.starts) == ("lease_lost", 0)


def test_a_program_is_restarted_up_to_its_limit(host: Host):
    plan = RestartPlan(when="on_failure", delay_s=0.01, max_delay_s=0.02, limit=3, window_s=100)
    ending = host.ending(run := host.start("print('up'); raise SystemExit(5)", restart=plan))

    assert (ending.outcome, ending.exit_code, ending.starts) == ("failed", 5, 4)
    assert texts_of(run) == ["up"] * 4
    assert texts_of(run, "keeper")[0] == "step step-1: exit code 5; starts again in 0.01 s"


def test_a_stop_ends_the_wait_for_a_restart(host: Host):
    plan = RestartPlan(when="always", delay_s=1000, max_delay_s=1000, limit=0, window_s=1000)
    run = host.start("", restart=plan)
    wait_for(lambda: run.progress().restart_at_ms)
    host.keepers.stop(run, "enough")

    assert host.ending(run).outcome == "stopped"


def test_the_agent_can_restart_and_signal_a_program(host: Host):
    program = "import signal, time; signal.signal(signal.SIGUSR2, lambda *_: print('told')); print('up'); time.sleep(1000)"
    run = host.start(
        [sys.executable, "-c", program.replace("time.sleep(1000)", "\nwhile True: time.sleep(1)")]
    )
    host.wait_for_line(run, "up")
    host.keepers.signal(run, "SIGUSR2")
    host.wait_for_line(run, "told")
    host.keepers.restart(run)

    wait_for(lambda: run.progress().starts == 2 and texts_of(run).count("up") == 2)
    assert run.ending() is None


def test_a_keeper_that_is_sent_sigterm_stops_its_run(host: Host):
    run = host.start(SLEEP)
    wait_for(lambda: run.progress().pid)
    keeper = run.keeper()
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGTERM)

    ending = host.ending(run)
    assert (ending.outcome, ending.message) == ("stopped", "its keeper was sent SIGTERM")


def test_memory_is_limited(host: Host):
    ending = host.ending(run := host.start("x = bytearray(400 << 20)", memory_bytes=200 << 20))

    assert ending.outcome == "failed"
    assert "MemoryError" in texts_of(run, "stderr")[-1]
    assert run.progress().limits == {"memory": "rlimit", "cpus": "none"}

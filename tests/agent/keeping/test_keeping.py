"""A run under its keeper, as its files tell of it."""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.keeping import keepers
from parallelm.agent.keeping.records import Progress
from tests.agent.keeping.kept_runs import lines_of, texts_of
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.agent.keeping.kept_runs import Host

SLEEP = ["sleep", "1000"]


@pytest.mark.parametrize(
    ("program", "outcome", "exit_code", "message"),
    [
        ("", "succeeded", 0, ""),
        ("raise SystemExit(3)", "failed", 3, "step step-1: exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "failed", -9, "step step-1: ended by signal 9"),
        (["/no/such/program"], "failed", 127, "program '/no/such/program' could not be started: [Errno 2]"),
        (["/"], "failed", 127, "program '/' could not be started: [Errno 13]"),
    ],
)
def test_an_ending_says_who_ended_it(
    host: Host, program: str | list[str], outcome: str, exit_code: int, message: str
):
    ending = host.ending(host.start(program))

    assert (ending.outcome, ending.exit_code) == (outcome, exit_code)
    assert ending.message.startswith(message)


def test_steps_run_in_order_up_to_the_first_that_fails(host: Host):
    ending = host.ending(run := host.start("print(1)", "print(2); raise SystemExit(4)", "print(3)"))

    assert (ending.step_id, ending.exit_code) == ("step-2", 4)
    assert [(line.step_id, line.text) for line in lines_of(run)] == [("step-1", "1"), ("step-2", "2")]


def test_a_run_that_is_started_again_is_not_run_again(host: Host):
    run = host.start("print('once')")
    host.keepers.start(run, run.plan())
    host.ending(run)
    (run.path / "end.json").unlink()
    host.keepers._zygote.start(run.path, {}, {})  # the agent did not see that it had begun

    assert texts_of(run) == ["once"]
    assert host.keepers.accept(run.run_id, run.attempt, "other")[1] is False
    assert run.spec_json() == "{}"


def test_a_restarted_agent_finds_its_runs_and_hears_of_their_end(host: Host):
    run = host.start(SLEEP)
    again = host.restarted()
    assert [found.path for found in again.changed(10)] == [run.path]
    wait_for(lambda: run.progress().pid)

    again.stop(run, "enough")

    wait_for(lambda: run.path in [found.path for found in again.changed(10)] and again.phase(run) == "ended")
    ending = run.ending()
    assert ending is not None
    assert (ending.outcome, ending.message, ending.exit_code) == ("stopped", "enough", -signal.SIGTERM)
    again.close()


def test_a_stop_before_the_start_starts_nothing(host: Host):
    run = host.accept()
    host.keepers.stop(run, "not needed")
    host._runs = 0

    ending = host.ending(host.start("print('started')"))

    assert (ending.outcome, ending.message, ending.starts) == ("stopped", "not needed", 0)
    assert lines_of(run) == []


def test_secrets_reach_the_program_and_no_file(host: Host):
    run = host.start(
        "import os; print(os.environ['KEY'] == '-'.join(['hidden', '42']))", secrets={"KEY": "hidden-42"}
    )
    host.ending(run)

    assert texts_of(run) == ["True"]
    for folder, _, names in os.walk(host.folder):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - os.walk
            if not name.endswith(".sock"):
                with open(path, "rb") as file:  # noqa: PTH123 - os.walk
                    assert b"hidden-42" not in file.read(), path


@pytest.mark.parametrize("content", [b"", b"\0" * 90, b"[]"])
def test_files_that_a_power_failure_left_empty_are_taken_as_missing(
    host: Host, content: bytes, caplog: pytest.LogCaptureFixture
):
    run = host.accept()
    run.save_progress(Progress(starts=3))
    run.save_lease(1.0)
    for name in ("progress.json", "lease.json"):
        (run.path / name).write_bytes(content)

    assert run.progress() == Progress()
    assert run.lease_end_s() is None
    assert "lease.json is no JSON object" in caplog.text
    assert [found.path for found in host.restarted().changed(0)] == [run.path]


def test_runs_that_have_ended_are_looked_at_no_more(host: Host, monkeypatch: pytest.MonkeyPatch):
    over = [host.start("pass") for _ in range(2)]
    for run in over:
        host.ending(run)
    assert {run.path.name for run in host.keepers.changed(0)} == {"run-1.1", "run-2.1"}
    looked: list[str] = []
    look = keepers._modified_ns
    monkeypatch.setattr(
        keepers, "_modified_ns", lambda path: (looked.append(path.parent.name), look(path))[1]
    )
    run = host.start("pass")
    host.ending(run)
    wait_for(lambda: [found.path for found in host.keepers.changed(0)] == [run.path])
    host.keepers.changed(0)

    assert set(looked) == {"run-3.1"}


IDLE = """
import os, pathlib, time
def turns():
    status = pathlib.Path(f"/proc/{os.getppid()}/status").read_text()
    return int(status.partition("\\nvoluntary_ctxt_switches:")[2].split()[0])
time.sleep(0.3)
before = turns()
time.sleep(0.5)
print(turns() - before)
"""


def test_a_keeper_sleeps_while_its_program_says_nothing(host: Host):
    run = host.start(IDLE)
    host.ending(run)

    assert int(texts_of(run)[0]) <= 2


def test_a_keeper_whose_folder_was_deleted_ends_with_its_program(host: Host):
    run = host.start(SLEEP)
    program = wait_for(lambda: run.progress().pid)
    keeper = run.keeper()
    assert keeper is not None
    shutil.rmtree(run.path)
    os.kill(program, signal.SIGKILL)

    wait_for(lambda: not keeper.is_alive())


def test_requests_of_several_threads_all_count(host: Host):
    run = host.accept()
    with ThreadPoolExecutor(5) as threads:
        asked = [
            threads.submit(ask)
            for _ in range(20)
            for ask in (
                lambda: host.keepers.restart(run),
                lambda: host.keepers.signal(run, "SIGHUP"),
                lambda: host.keepers.stop(run, "enough"),
                lambda: run.save_variables({"NAME": "value"}),
            )
        ]
    for each in asked:
        each.result()
    request = run.request()

    assert (request.restarts, request.signals, request.stop) == (20, 20, "enough")
    assert not list(run.path.glob(".*"))

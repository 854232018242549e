"""Pipelines as programs on a host: steps, components, environments, variables, secrets."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.agent.errors import RunRefusedError
from parallelm.agent.keeping import files, zygote_client
from parallelm.agent.keeping.process_identity import ProcessIdentity, parent_of
from parallelm.agent.keeping.timer import boot_time_s
from parallelm.agent.pipelines.component_programs import program_of
from parallelm.agent.pipelines.environments import BUILDS_AT_ONCE, PythonEnvironments
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.agent.runners import RunKey
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.agent.pipelines.host import RunnerHost


COMPONENT = """\
name: fit
program: fit.py
arguments:
  depth: {type: integer, default: 6, variable: TREE_DEPTH}
  samples: {input: samples}
  model: {output: model}
inputs:
  samples: {}
outputs:
  model: {}
"""
PROGRAM = """\
import argparse, os, pathlib, sys
parser = argparse.ArgumentParser()
for name in ("depth", "samples", "model"):
    parser.add_argument(f"--{name}")
given = parser.parse_args()
pathlib.Path(given.model).write_text(pathlib.Path(given.samples).read_text() + given.depth)
pathlib.Path("left-behind").touch()
"""


@pytest.fixture
def component(tmp_path: Path) -> Path:
    folder = tmp_path / "components" / "fit"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "fit.py").write_text(PROGRAM)
    return folder


def test_steps_hand_on_files_and_components_get_their_arguments(host: RunnerHost, component: Path):
    steps = (
        {"id": "load", "command": 'printf rows > "$MCENTER_OUTPUT_SAMPLES"'},
        {"id": "fit", "component": "fit", "parents": [{"parent": "load", "output": "samples"}]},
        {
            "id": "show",
            "command": ["sh", "-c", "cat $MCENTER_INPUT_MODEL; pwd"],
            "parents": [{"parent": "fit", "output": "model"}],
        },
    )
    packed = host.publish_component(component)
    first = host.start(host.spec(*steps, components=[packed], environment={"TREE_DEPTH": "9"}))
    status = host.ended(first)

    assert (status.outcome, status.exit_code, status.starts) == ("succeeded", 0, 1), status.message
    assert host.texts(first)[0].startswith("rows9/")
    cached = host.folder / "agent" / "components" / packed["sha256"] / "fit"
    assert sorted(path.name for path in cached.iterdir()) == ["component.yaml", "fit.py"]
    run = host.folder / "agent" / "runs" / f"{first.run_id}.{first.attempt}"
    wait_for(lambda: not (run / "work" / "fit").exists())  # what it worked in is a copy
    assert (run / "outputs" / "fit" / "model").read_text() == "rows9"


def test_an_agent_reads_components_without_what_takes_it_much_memory(component: Path):
    program = (
        "import sys, pathlib; from parallelm.agent.pipelines.component_programs import program_of;"
        "print(program_of(pathlib.Path(sys.argv[1])));"
        "assert not {'pydantic', 'ruamel.yaml'} & sys.modules.keys()"
    )
    texts = []
    for left in (None, '{"of": "another version"}', "", None):
        if left is not None:
            (component.parent / "program.json").write_text(left)
        command = [sys.executable, "-c", program, str(component)]
        texts.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert "depth" in texts[0]
    assert set(texts) == {texts[0]}
    (component.parent / "program.json").unlink()
    (component / "component.yaml").write_text("name: fit\nprogram: [")
    with pytest.raises(PreparationError, match=r"component 'fit': .*component.yaml:2:11: not valid YAML"):
        program_of(component)


def test_a_component_of_other_bytes_is_not_run(host: RunnerHost, component: Path):
    packed = host.publish_component(component)
    (host.store / packed["sha256"]).write_bytes(b"other")
    status = host.run({"component": "fit", "arguments": {"samples": "x"}}, components=[packed])

    assert status.outcome == "failed"
    assert "holds 5 bytes" in status.message
    assert status.starts == 0


def test_what_cannot_be_prepared_fails_with_its_reason(host: RunnerHost, component: Path):
    packed = host.publish_component(component)

    assert "samples has no value" in host.run({"component": "fit"}, components=[packed]).message
    assert "'other' is not part of" in host.run({"component": "other"}).message
    assert "no variable NOT_SET" in host.run({"command": "true"}, secrets={"KEY": "env:NOT_SET"}).message
    assert "No such file" in host.run({"command": "true"}, secrets={"KEY": "file:/no/file"}).message


def test_whatever_fails_before_a_run_begins_ends_that_run_alone(
    host: RunnerHost, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr(zygote_client, "_PROGRAM", "raise SystemExit(3)")
        without_keepers = host.run({"command": "true"})
    no_path = host.run({"command": "true"}, secrets={"KEY": "file:/no/\0file"})

    assert (without_keepers.outcome, no_path.outcome) == ("failed", "failed")
    assert "CalledProcessError" in without_keepers.message
    assert "null byte" in no_path.message
    host.restart()
    assert host.run({"command": "true"}).outcome == "succeeded"


def test_a_run_whose_start_is_answered_too_late_fails_and_is_never_begun(
    host: RunnerHost, monkeypatch: pytest.MonkeyPatch
):
    first = host.start(host.spec({"command": "echo up; sleep 1000"}))
    host.wait_for_text(first, "up")
    zygote = parent_of(keeper_of(host, first).pid)
    assert zygote is not None
    monkeypatch.setattr(zygote_client, "START_S", 0.5)
    os.kill(zygote, signal.SIGSTOP)
    try:
        late = host.start(host.spec({"command": "echo never"}))
        status = host.ended(late)
        host.runner.stop(late, "too late")
    finally:
        os.kill(zygote, signal.SIGCONT)
    monkeypatch.undo()

    assert (status.outcome, status.starts) == ("failed", 0)
    assert "timed out" in status.message
    assert host.run({"command": "sleep 0.3"}).outcome == "succeeded"  # asked after it
    assert host.texts(late) == []
    assert keeper_of(host, late) == ProcessIdentity.own()


def keeper_of(host: RunnerHost, key: RunKey) -> ProcessIdentity:
    run = host.runner._keepers.find(key.run_id, key.attempt)
    assert run is not None
    keeper = run.keeper()
    assert keeper is not None
    return keeper


def test_programs_are_told_who_they_are(host: RunnerHost):
    program = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if 'PM_' in k or 'MCENTER_' in k}))"
    key = host.start(
        host.spec({"command": ["python", "-c", program]}, environment={"PM_WORKFLOW_NODE_ID": "x"})
    )
    host.ended(key)
    told = json.loads(host.texts(key)[0])

    assert told["PM_MLOPS_MODE"] == "agent"
    assert told["PM_WORKFLOW_INSTANCE_ID"] == "churn"
    assert told["PM_WORKFLOW_NODE_ID"] == "fit"
    assert told["PM_PIPELINE_INSTANCE_ID"] == "churn-fit-0"
    assert told["MCENTER_RUN_ID"] == key.run_id


def test_secrets_are_in_no_file_and_no_command_line(
    host: RunnerHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OF_THE_HOST", "hidden-by-host")
    (tmp_path / "secret").write_text("hidden-in-file\n")
    secrets = {"ONE": "env:OF_THE_HOST", "TWO": f"file:{tmp_path / 'secret'}"}
    key = host.start(
        host.spec({"command": "test $(echo $ONE$TWO | tr -d -) = hiddenbyhosthiddeninfile"}, secrets=secrets)
    )

    assert host.ended(key).outcome == "succeeded"
    for folder, _, names in os.walk(tmp_path / "agent"):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - os.walk
            if not name.endswith(".sock"):
                with open(path, "rb") as file:  # noqa: PTH123 - os.walk
                    assert b"hidden-" not in file.read(), path


def test_a_component_has_the_python_environment_of_its_lock_file(host: RunnerHost, component: Path):
    wheel = component / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "ANSWER = 42\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    (component / "component.yaml").write_text(
        "name: fit\nprogram: fit.py\npython: {lock: requirements.txt}\n"
    )
    (component / "requirements.txt").write_text("./tiny-1.0-py3-none-any.whl\n")
    (component / "fit.py").write_text("import tiny\nprint(tiny.ANSWER)\n")
    packed = host.publish_component(component)
    keys = [host.start(host.spec({"component": "fit"}, components=[packed])) for _ in range(3)]

    assert [host.ended(key).message for key in keys] == [""] * 3
    assert [host.texts(key) for key in keys] == [["42"]] * 3
    assert len(list((host.folder / "agent" / "environments").glob("*/.complete"))) == 1


def test_few_environments_are_made_at_once(tmp_path: Path):
    begun: list[str] = []
    done = threading.Event()

    class Environments(PythonEnvironments):
        def _uv(self, arguments: Sequence[str], lock: Path, place: Path) -> None:  # noqa: ARG002 - as uv would
            begun.append(lock.parent.name)
            place.mkdir(exist_ok=True)
            done.wait()

    environments = Environments(tmp_path / "environments")
    makers = []
    for number in range(2 * BUILDS_AT_ONCE):
        component = tmp_path / f"component-{number}"
        component.mkdir()
        (component / "uv.lock").write_text(str(number))
        (component / "pyproject.toml").touch()
        makers.append(threading.Thread(target=environments.python, args=(component, "uv.lock", None)))
        makers[-1].start()
    locks = tmp_path / "environments"
    wait_for(lambda: len(list(locks.glob("*.lock"))) == len(makers) and len(begun) >= BUILDS_AT_ONCE)
    at_once = len(begun)
    done.set()
    for maker in makers:
        maker.join()
    assert (at_once, len(set(begun))) == (BUILDS_AT_ONCE, len(makers))


def test_what_no_run_needs_any_more_is_deleted_and_what_one_has_stays(host: RunnerHost, component: Path):
    packed = host.publish_component(component)
    model = host.publish_model("m1", b"one")
    key = host.start(
        host.spec(
            {"component": "fit", "arguments": {"samples": "/dev/null"}}, components=[packed], model=model
        )
    )
    status = host.ended(key)
    run = host.runner._keepers.find(key.run_id, key.attempt)
    assert run is not None
    cached = host.folder / "agent" / "components" / packed["sha256"]
    left, used, of_uv = (
        host.folder / "agent" / "environments" / name for name in ("left", "used", "uv-cache")
    )
    for place in (left, used, of_uv):
        place.mkdir(parents=True)
    host.start(going_on := host.spec({"command": f"echo {used}; sleep 1000"}))
    host.wait_for_text(RunKey(going_on.run_id, 1), str(used))
    for place in (cached, left, used, of_uv):
        os.utime(place, (0, 0))
    host.runner.settle(status)
    host.runner._disk._look_at_s = host.runner._disk._clean_at_s = 0.0
    host.look()

    assert [place.exists() for place in (cached, left, of_uv, used)] == [False, False, False, True]
    assert not (run.path / "models").exists()
    assert host.texts(key) == []
    again = host.run({"component": "fit", "arguments": {"samples": "/dev/null"}}, components=[packed])
    assert again.outcome == "succeeded", again.message  # it is fetched again


def test_an_environment_that_cannot_be_made_is_told_with_what_uv_said(host: RunnerHost, component: Path):
    (component / "component.yaml").write_text(
        "name: fit\nprogram: fit.py\npython: {lock: requirements.txt}\n"
    )
    (component / "requirements.txt").write_text("./missing-1.0-py3-none-any.whl\n")
    status = host.run({"component": "fit"}, components=[host.publish_component(component)])

    assert status.outcome == "failed"
    assert "missing-1.0" in status.message


def test_a_restarted_agent_goes_on_with_what_it_accepted(host: RunnerHost):
    spec = host.spec({"command": "echo once"})
    host.runner._keepers.accept(spec.run_id, spec.attempt, spec.json())  # killed right after
    host.restart()
    key = host.start(spec)

    assert host.ended(key).outcome == "succeeded"
    assert host.texts(key) == ["once"]


def test_a_movable_run_whose_agent_ended_before_it_had_a_lease_does_not_begin(host: RunnerHost):
    spec = host.spec({"command": "echo never"}, placement="movable")
    host.runner._keepers.accept(spec.run_id, spec.attempt, spec.json())
    host.restart()

    status = host.ended(next(iter(host.statuses)))
    assert (status.outcome, status.starts) == ("lease_lost", 0)


def test_a_run_whose_preparation_waits_keeps_no_other_from_its_start(host: RunnerHost, tmp_path: Path):
    os.mkfifo(tmp_path / "secret")
    secrets = {"KEY": f"file:{tmp_path / 'secret'}"}  # nobody writes it
    waiting = [host.start(host.spec({"command": "true"}, secrets=secrets)) for _ in range(12)]

    assert host.run({"command": "true"}).outcome == "succeeded"

    def all_over() -> bool:
        with contextlib.suppress(OSError):  # nobody waits for it just now
            os.close(os.open(tmp_path / "secret", os.O_WRONLY | os.O_NONBLOCK))
        host.look()
        return all(key in host.statuses and host.statuses[key].is_over for key in waiting)

    wait_for(all_over)


def test_a_run_that_the_disk_refuses_is_refused(host: RunnerHost):
    host.runner._keepers.root.rmdir()
    host.runner._keepers.root.write_text("in the way")
    with pytest.raises(RunRefusedError, match="cannot be kept on this host"):
        host.start(host.spec({"command": "true"}))
    host.runner._keepers.root.unlink()
    host.runner._keepers.root.mkdir()


def test_a_full_disk_delays_what_is_asked_of_runs_and_ends_no_agent(
    host: RunnerHost, monkeypatch: pytest.MonkeyPatch
):
    one, two = (host.start(host.spec({"command": "echo up; sleep 1000"}, mode="online")) for _ in range(2))
    for key in (one, two):
        host.wait_for_text(key, "up")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, "_write", full)
        patched.setattr("pathlib.Path.touch", full)
        host.runner.stop(one, "enough")
        host.runner.renew(two, boot_time_s() + 1000)
        host.runner.deliver(two, host.publish_model("m1", b"one", "d1"))
        late = host.start(host.spec({"command": "true"}))

        def is_refused() -> bool:
            host.look()
            return late in host.runner._refused

        wait_for(is_refused)
        assert not host.statuses[one].is_over
    ended = host.ended(one)
    assert (ended.outcome, ended.message) == ("stopped", "enough")
    assert host.ended(late).outcome == "succeeded"

    def delivered() -> bool:
        status = host.status(two)
        return status is not None and any(each.is_accepted for each in status.deliveries)

    wait_for(delivered, lambda: host.statuses.get(two))
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.touch", full)
        host.runner.settle(ended)
    host.look()
    host.restart()
    assert one not in host.statuses

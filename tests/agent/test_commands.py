"""What an agent does with commands, and what it reports."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.agent.runners import RunKey
from parallelm.connections.settings import RegistrySettings
from parallelm.schemas.records import CommandKind, RunReportKind
from parallelm.schemas.registry_server import RegistryServer
from parallelm.schemas.topics import HEARTBEATS, LOGS
from tests.agent.conftest import running_agent
from tests.agent.control_plane import MLAPP, as_json, run_spec
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.agent.control_plane import ControlPlane


def test_a_run_is_started_reported_and_stopped(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "agent", labels={"zone": "b"}) as agent:
        agent.await_ready()
        plane.start("r1")
        started = plane.await_report("r1", RunReportKind.STARTED)
        assert (started.pid, started.starts, started.epoch, started.agent_id) == (4711, 1, 1, "host-a")
        wait_for(lambda: any(beat.runs == 1 for beat in plane.said(HEARTBEATS)))
        plane.stop("r1", reason="enough")
        ended = plane.await_report("r1", RunReportKind.ENDED)
        assert (ended.outcome, ended.message) == ("stopped", "enough")
    assert plane.kinds("r1") == ["accepted", "started", "ended"]
    wait_for(lambda: plane.states()[-1].state == "ended")
    first = plane.states()[0]
    assert (first.labels, first.epoch, first.runners) == ({"zone": "b"}, 1, ["process"])
    assert first.cpus > 0
    assert first.memory_bytes > 0


def test_programs_that_are_over_at_once_have_their_logs_sent_once(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    names = {f"r{number}" for number in range(20)}
    with running_agent(settings, tmp_path / "agent") as agent:
        agent.await_ready().prints = ("one", "two")
        for name in names:
            plane.start(name)
        for name in names:
            plane.await_report(name, RunReportKind.ENDED)
        wait_for(lambda: {each.run_id for each in plane.said(LOGS)} == names)
    said = plane.said(LOGS)
    assert len(said) == len(names)
    assert {(each.first_line, *each.lines) for each in said} == {(1, "one", "two")}


def test_a_command_that_comes_again_changes_nothing(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        command = plane.start("r1")
        plane.send_again(command)
        plane.await_report("r1", RunReportKind.STARTED)
        plane.stop("r1")
        plane.await_report("r1", RunReportKind.ENDED)
        plane.send_again(command)
        plane.start("r2")
        plane.await_report("r2", RunReportKind.STARTED)
        assert runner.started == [RunKey("r1", 1), RunKey("r2", 1)]
        assert plane.kinds("r1") == ["accepted", "started", "ended"]
        # Another attempt is another run.
        plane.start("r1", attempt=2)
        wait_for(lambda: RunKey("r1", 2) in runner.started)


def test_void_and_wrong_starts_are_refused_with_the_reason_and_never_start_later(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    other_runner = run_spec("r3", runner="kubernetes")
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        plane.start("r1", expires_at_ms=time.time_ns() // 1_000_000 - 1)
        plane.start("r2", spec_json='{"mlapp_id": 7}')
        plane.start("r3", spec=other_runner)
        plane.start("r4", spec=run_spec("r5"))
        plane.start("old", epoch=7)
        reasons = {
            run_id: plane.await_report(run_id, RunReportKind.REFUSED).message
            for run_id in ("r1", "r2", "r3", "r4")
        }
        assert "was valid until" in reasons["r1"]
        assert "mlapp_id must be text, and is 7" in reasons["r2"]
        assert "no runner 'kubernetes'; it has: process" in reasons["r3"]
        assert "its specification for" in reasons["r4"]
        runner.refuses = "no space left"
        plane.start("r6")
        assert plane.await_report("r6", RunReportKind.REFUSED).message == "no space left"
        runner.refuses = ""
        plane.start("r6")
        plane.start("last")
        plane.await_report("last", RunReportKind.STARTED)
        assert runner.started == [RunKey("last", 1)]
        assert plane.kinds("old") == []
        assert plane.kinds("r6") == ["refused"]


def test_a_run_that_is_stopped_before_its_start_arrives_does_not_start(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        plane.stop("r1")
        plane.await_report("r1", RunReportKind.REFUSED)
        plane.start("r1")
        plane.start("r2")
        plane.await_report("r2", RunReportKind.STARTED)
        assert runner.started == [RunKey("r2", 1)]


def test_a_stop_of_an_earlier_attempt_lets_a_later_one_go_on(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        plane.start("r1", attempt=1)
        plane.await_report("r1", RunReportKind.STARTED)
        runner.end(RunKey("r1", 1), "failed")
        plane.await_report("r1", RunReportKind.ENDED)
        plane.start("r1", attempt=3)
        wait_for(lambda: plane.kinds("r1").count("started") == 2)
        plane.stop("r1", attempt=1, reason="not its own")
        wait_for(lambda: plane.kinds("r1").count("ended") == 2)  # told again, and nothing else stopped
        plane.stop("r1", attempt=3, reason="enough")
        wait_for(lambda: plane.kinds("r1").count("ended") == 3)
        ended = plane.reports("r1")[-1]
        assert (ended.attempt, ended.message) == (3, "enough")


@pytest.mark.parametrize("names_run", [True, False])
def test_models_are_delivered_to_a_run_or_to_all_of_a_node(
    settings: Settings, plane: ControlPlane, tmp_path: Path, *, names_run: bool
) -> None:
    good = {"model_id": "m1", "artifact_url": "file:///m1", "deployment_id": "d1", "name": "good"}
    with running_agent(settings, tmp_path / "agent") as agent:
        agent.await_ready()
        plane.start("r1")
        plane.await_report("r1", RunReportKind.STARTED)
        run: dict[str, Any] = {"run_id": "r1", "attempt": 1} if names_run else {}
        where: dict[str, Any] = {"mlapp_id": MLAPP, "node_id": "node", **run}
        plane.send(CommandKind.DELIVER_MODEL, spec_json=as_json(good), **where)
        assert plane.await_report("r1", RunReportKind.MODEL_ACCEPTED).model_id == "m1"
        plane.send(
            CommandKind.DELIVER_MODEL, spec_json=as_json(good | {"model_id": "m2", "name": "bad"}), **where
        )
        refused = plane.await_report("r1", RunReportKind.MODEL_REFUSED)
        assert (refused.model_id, refused.message) == ("m2", "the smoke test failed")
        plane.send(
            CommandKind.DELIVER_MODEL,
            spec_json=as_json(good),
            mlapp_id=MLAPP,
            node_id="another",
            run_id="r9",
            attempt=1,
        )
        assert "no run of node 'another'" in plane.await_report("r9", RunReportKind.MODEL_REFUSED).message


def test_a_drained_agent_takes_no_runs_until_it_is_resumed(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    folder = tmp_path / "agent"
    with running_agent(settings, folder) as agent:
        runner = agent.await_ready()
        plane.start("pinned")
        plane.await_report("pinned", RunReportKind.STARTED)
        plane.send(CommandKind.DRAIN, reason="new kernel")
        plane.start("r2")
        assert "is draining" in plane.await_report("r2", RunReportKind.REFUSED).message
        runner.end(RunKey("pinned", 1), "succeeded")
        wait_for(lambda: plane.states()[-1].state == "drained")
    with running_agent(settings, folder) as agent:  # a restart changes nothing of it
        agent.await_ready()
        plane.start("r3")
        assert "is drained" in plane.await_report("r3", RunReportKind.REFUSED).message
        plane.send(CommandKind.RESUME)
        plane.start("r4")
        plane.await_report("r4", RunReportKind.STARTED)
        plane.send(CommandKind.REMOVE)
        assert plane.await_report("r4", RunReportKind.ENDED).outcome == "stopped"
        wait_for(lambda: agent.is_over)
    wait_for(lambda: plane.states()[-1].state == "removed")


def test_an_agent_is_removed_only_once_nothing_runs_on_it_any_more(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    folder = tmp_path / "agent"
    with running_agent(settings, folder) as agent:
        agent.await_ready().is_stubborn = True
        plane.start("r1")
        plane.await_report("r1", RunReportKind.STARTED)
        plane.send(CommandKind.REMOVE)
        wait_for(lambda: plane.said(HEARTBEATS)[-1].state == plane.states()[-1].state == "draining")
        plane.start("r2")
        assert "is removed" in plane.await_report("r2", RunReportKind.REFUSED).message
    wait_for(lambda: plane.states()[-1].state == "ended")
    with running_agent(settings, folder) as agent:  # which goes on to remove itself
        assert plane.await_report("r1", RunReportKind.ENDED).outcome == "stopped"
        wait_for(lambda: agent.is_over)
    wait_for(lambda: plane.states()[-1].state == "removed")
    assert [each.state for each in plane.states()].count("removed") == 1
    assert "removed" not in {each.state for each in plane.said(HEARTBEATS)}


def test_leases_are_renewed_and_counted_from_the_renewal(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        spec = run_spec("m", placement="movable", lease="2s", stop_grace="100ms")
        plane.start("m", spec=spec)
        plane.start("p")
        plane.await_report("m", RunReportKind.STARTED)
        key = RunKey("m", 1)
        first = runner.leases[key]
        wait_for(lambda: runner.leases[key] > first + 1)
        assert runner.leases[key] <= time.clock_gettime(time.CLOCK_BOOTTIME) + 2
        assert {(*each.runs, *each.attempts, each.mlapp_id) for each in plane.renewals()} == {("m", 1, MLAPP)}
        runner.end(key, "lease_lost")
        plane.await_report("m", RunReportKind.ENDED)
        told = len(plane.renewals())
        plane.start("after")
        plane.await_report("after", RunReportKind.STARTED)
        assert len(plane.renewals()) <= told + 1


def test_a_full_disk_of_the_runs_only_delays_what_is_asked(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    movable = RunKey("movable", 1)
    model = {"model_id": "m1", "artifact_url": "file:///m1", "deployment_id": "d1", "name": "good"}
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        plane.start("movable", spec=run_spec("movable", placement="movable", lease="20s"))
        for name in ("stopped", "ended"):
            plane.start(name)
            plane.await_report(name, RunReportKind.STARTED)
        plane.await_report("movable", RunReportKind.STARTED)
        runner.disk_is_full = True
        renewals = len(plane.renewals())
        wait_for(lambda: len(plane.renewals()) > renewals)
        until_s = runner.leases[movable]
        runner.end(RunKey("ended", 1), "succeeded")
        plane.await_report("ended", RunReportKind.ENDED)
        wait_for(lambda: "No space left" in agent.health.why_not_ready())
        plane.send(
            CommandKind.DELIVER_MODEL, mlapp_id=MLAPP, node_id="node", run_id="movable", attempt=1,
            spec_json=as_json(model),
        )  # fmt: skip
        plane.stop("stopped")
        plane.start("late")
        wait_for(lambda: "No space left" in agent.health.why_not_ready())
        assert not agent.is_over
        assert runner.leases[movable] == until_s
        runner.disk_is_full = False
        plane.await_report("late", RunReportKind.STARTED)
        plane.await_report("movable", RunReportKind.MODEL_ACCEPTED)
        plane.await_report("stopped", RunReportKind.ENDED)
        wait_for(lambda: runner.leases[movable] > until_s)
        wait_for(lambda: not agent.health.why_not_ready())
    assert plane.kinds("ended") == ["accepted", "started", "ended"]


def test_a_command_whose_schema_is_not_known_yet_is_kept_and_those_behind_it_wait(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    registry = RegistryServer("127.0.0.1", 0, settings.kafka.topic_prefix)
    thread = threading.Thread(target=registry.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{registry.server_address[1]}"
    asking = dataclasses.replace(settings, schema_registry=RegistrySettings(url=url))
    try:
        with running_agent(asking, tmp_path / "agent") as agent:
            agent.await_ready()
            plane.send_bytes(b"poison", b"host-a")
            plane.start("before")
            plane.await_report("before", RunReportKind.STARTED)
            plane.send_bytes(b"\0" + (2**31 - 1).to_bytes(4) + b"?", b"host-a")
            plane.start("behind")
            wait_for(lambda: "no schema with id 2147483647" in agent.health.why_not_ready())
        with running_agent(asking, tmp_path / "agent") as agent:  # it is still there
            agent.await_ready()
            wait_for(lambda: "no schema with id 2147483647" in agent.health.why_not_ready())
            assert not agent.is_over
    finally:
        registry.shutdown()
        registry.server_close()
        thread.join()
    assert plane.reports("behind") == []

"""Agents as processes, with real programs: what is left when they are killed, paused, cut off or short of room."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from parallelm.schemas.records import RunReportKind
from parallelm.schemas.topics import HEARTBEATS, LOGS, STATISTICS
from parallelm.schemas.well_known import HOST_CPU, HOSTS_MLAPP, RUN_MEMORY
from tests.agent.control_plane import run_spec
from tests.service_process import ServiceProcess
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import RunSpec
    from tests.agent.control_plane import ControlPlane


@contextmanager
def agent_process(settings: Settings, folder: Path, data: Path | None = None) -> Iterator[ServiceProcess]:
    """``mcenter agent``; its runs end with the test's process."""
    process = ServiceProcess(
        folder,
        *("agent", "--name", "host-a", "--data", str(data or folder / "data")),
        settings=settings,
        environ={**os.environ, "MCENTER_AGENT_METRICS_INTERVAL_S": "1"},
    )
    with process.gone_at_the_end():
        try:
            yield process
        finally:
            end_programs(data or folder / "data")


def end_programs(data: Path) -> None:
    """Keepers outlive the agent: end those of this test, and what they keep."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        said = " ".join(process.info["cmdline"] or ()) + " " + (process.info["cwd"] or "")
        if str(data) in said and process.pid != os.getpid():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


def waiting_program(run_id: str, mark: Path, **running: object) -> RunSpec:
    """A program that writes a line for each time that it is started, and goes on until ``mark.end`` exists."""
    script = f"echo started >> {mark}; echo hello; while [ ! -e {mark}.end ]; do sleep 0.05; done; echo bye; exit 3"
    return run_spec(run_id, steps=[{"command": script}], restart={"when": "never"}, **running)


def starts(mark: Path) -> int:
    return len(mark.read_text().splitlines()) if mark.exists() else 0


def test_a_killed_agent_finds_its_runs_again_and_reports_what_ended_meanwhile(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with agent_process(settings, tmp_path / "agent") as agent:
        agent.start()
        goes_on, ends = tmp_path / "goes-on", tmp_path / "ends"
        plane.start("goes-on", spec=waiting_program("goes-on", goes_on))
        command = plane.start("ends", spec=waiting_program("ends", ends))
        plane.await_report("goes-on", RunReportKind.STARTED)
        plane.await_report("ends", RunReportKind.STARTED)
        wait_for(lambda: starts(goes_on) + starts(ends) == 2)
        agent.kill()
        Path(f"{ends}.end").touch()
        plane.send_again(command)
        agent.start()
        ended = plane.await_report("ends", RunReportKind.ENDED)
        assert (ended.outcome, ended.exit_code) == ("failed", 3)
        plane.stop("goes-on")
        assert plane.await_report("goes-on", RunReportKind.ENDED).outcome == "stopped"
        assert (starts(goes_on), starts(ends)) == (1, 1)
        assert plane.kinds("ends") == ["accepted", "started", "ended"]
        assert {beat.epoch for beat in plane.said(HEARTBEATS)} == {1}
        # Its lines and its load have arrived.
        wait_for(
            lambda: (
                "bye" in [line for each in plane.said(LOGS) for line in each.lines if each.run_id == "ends"]
            )
        )
        lines = [
            (each.first_line + at, line)
            for each in plane.said(LOGS)
            if each.run_id == "ends"
            for at, line in enumerate(each.lines)
            if each.streams[at] == "stdout"
        ]
        assert sorted({line for _, line in lines}) == ["bye", "hello"]
        assert len(set(lines)) == 2
        wait_for(lambda: RUN_MEMORY in reported(plane, "flights"))
        assert HOST_CPU in reported(plane, HOSTS_MLAPP)
        # Each takes megabytes, for as long as the host is up.
        assert agent.process is not None
        maps = Path(f"/proc/{agent.process.pid}/maps").read_text()
        assert "librdkafka" in maps
        assert [each for each in ("pydantic_core", "_ruamel", "clickhouse") if each in maps] == []


def reported(plane: ControlPlane, mlapp_id: str) -> set[str]:
    return {
        series.name
        for batch in plane.said(STATISTICS)
        if batch.origin.mlapp_id == mlapp_id
        for series in batch.series
    }


def test_sigterm_leaves_runs_and_drain_ends_them(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    mark, secret = tmp_path / "mark", tmp_path / "secret"
    os.mkfifo(secret)  # nobody writes it
    with agent_process(settings, tmp_path / "agent") as agent:
        agent.start()
        plane.start("r1", spec=waiting_program("r1", mark))
        plane.start("waits", spec=waiting_program("waits", mark, secrets={"KEY": f"file:{secret}"}))
        plane.await_report("r1", RunReportKind.STARTED)
        plane.await_report("waits", RunReportKind.ACCEPTED)
        assert agent.terminate() == 0
        secret.unlink()
        wait_for(lambda: plane.states()[-1].state == "ended")
        assert plane.kinds("r1") == ["accepted", "started"]
        draining = ServiceProcess(
            tmp_path / "draining",
            *("agent", "--name", "host-a", "--data", str(tmp_path / "agent" / "data"), "--drain"),
            settings=settings,
        )
        with draining:
            assert draining.terminate() == 0
        assert plane.await_report("r1", RunReportKind.ENDED).outcome == "stopped"
        assert starts(mark) == 1


def test_beyond_the_lease_a_paused_agents_movable_run_has_ended_and_its_pinned_one_goes_on(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    movable, pinned = tmp_path / "movable", tmp_path / "pinned"
    with agent_process(settings, tmp_path / "agent") as agent:
        agent.start()
        spec = waiting_program("movable", movable, placement="movable", lease="3s", stop_grace="200ms")
        plane.start("movable", spec=spec)
        plane.start("pinned", spec=waiting_program("pinned", pinned))
        started = plane.await_report("movable", RunReportKind.STARTED)
        goes_on = plane.await_report("pinned", RunReportKind.STARTED)
        wait_for(lambda: len(plane.renewals()) > 2)
        assert agent.process is not None
        agent.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: not psutil.pid_exists(started.pid))
        assert psutil.pid_exists(goes_on.pid)
        agent.process.send_signal(signal.SIGCONT)
        assert plane.await_report("movable", RunReportKind.ENDED).outcome == "lease_lost"
        plane.stop("pinned")
        assert plane.await_report("pinned", RunReportKind.ENDED).outcome == "stopped"


@pytest.mark.parametrize("folder", ["same", "other"])
def test_a_second_agent_of_the_name_or_the_folder_ends_with_the_reason(
    settings: Settings, plane: ControlPlane, tmp_path: Path, folder: str
) -> None:
    data = tmp_path / "data"
    with agent_process(settings, tmp_path / "first", data) as first:
        first.start()
        wait_for(plane.states)
        second = ServiceProcess(
            tmp_path / "second",
            *("agent", "--name", "host-a", "--data", str(data if folder == "same" else tmp_path / "other")),
            settings=settings,
        )
        with second.gone_at_the_end():
            second.start(wait=False)
            assert second.process is not None
            assert second.process.wait(60) == 1
        reason = f"in use by the agent of pid {first.process and first.process.pid}"
        assert (reason if folder == "same" else "an agent 'host-a' runs already on host") in second.log()
        assert first.process is not None
        assert first.process.poll() is None


def test_an_agent_that_was_paused_while_another_took_its_name_stops_its_runs_and_ends(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with agent_process(settings, tmp_path / "first") as first:
        first.start()
        plane.start("r1", spec=waiting_program("r1", tmp_path / "mark"))
        program = plane.await_report("r1", RunReportKind.STARTED).pid
        assert first.process is not None
        first.process.send_signal(signal.SIGSTOP)
        with agent_process(settings, tmp_path / "second") as second:
            second.start()  # it has listened for a while, and heard nothing
            plane.start("r2", epoch=2, spec=waiting_program("r2", tmp_path / "mark-2"))
            plane.await_report("r2", RunReportKind.STARTED)
            first.process.send_signal(signal.SIGCONT)
            assert first.process.wait(60) == 1
            assert "was taken over while this one was not heard of" in first.log()
            wait_for(lambda: not psutil.pid_exists(program))
            assert plane.await_report("r1", RunReportKind.ENDED).epoch == 1
            plane.start("r3", epoch=2, spec=waiting_program("r3", tmp_path / "mark-3"))
            plane.await_report("r3", RunReportKind.STARTED)
            assert plane.kinds("r2") == ["accepted", "started"]

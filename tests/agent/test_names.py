"""Two agents under one name, in every order."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.errors import FolderInUseError, NameTakenError
from parallelm.agent.runners import RunKey
from parallelm.agent.service import registration
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import CommandKind, RunReportKind
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import AGENTS
from tests.agent.conftest import running_agent
from tests.agent.control_plane import run_spec
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.agent.control_plane import ControlPlane


def test_while_an_agent_lives_another_installation_does_not_get_its_name(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "a") as first:
        first.await_ready()
        with running_agent(settings, tmp_path / "b") as second:
            wait_for(lambda: second.is_over)
        assert isinstance(second.error, NameTakenError)
        assert "runs already on host" in str(second.error)
        with running_agent(settings, tmp_path / "a") as third:
            wait_for(lambda: third.is_over)
        assert isinstance(third.error, FolderInUseError)
        plane.start("r1")
        plane.await_report("r1", RunReportKind.STARTED)
    assert first.error is None
    # One that has ended leaves its name to the next installation, in the next epoch.
    with running_agent(settings, tmp_path / "b") as second:
        runner = second.await_ready()
        plane.start("old", epoch=1)
        plane.start("new", epoch=2)
        assert plane.await_report("new", RunReportKind.STARTED).epoch == 2
        assert runner.started == [RunKey("new", 1)]


def test_of_two_that_start_at_once_one_has_the_name(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    with running_agent(settings, tmp_path / "a") as one, running_agent(settings, tmp_path / "b") as two:
        wait_for(lambda: one.is_over or two.is_over)
        loser, winner = (one, two) if one.is_over else (two, one)
        winner.await_ready()
        plane.start("r1")
        plane.await_report("r1", RunReportKind.STARTED)
        assert winner.runner is not None
        assert winner.runner.started == [RunKey("r1", 1)]
        assert isinstance(loser.error, NameTakenError)


@pytest.mark.parametrize("says", ["another installation", "a copy of the data folder", "removed"])
def test_an_agent_that_has_lost_its_name_stops_its_runs_and_ends(
    settings: Settings, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """As one that was paused: what it finds under its name when it comes back is what the topic says."""
    monkeypatch.setattr(registration, "SILENCE_S", 0.1)
    with running_agent(settings, tmp_path / "a") as paused:
        paused.await_ready()
        plane.start("pinned")
        plane.start("movable", spec=run_spec("movable", placement="movable"))
        plane.await_report("pinned", RunReportKind.STARTED)
        plane.await_report("movable", RunReportKind.STARTED)
        own = plane.states()[-1]
        changes = {
            "another installation": {"epoch": 2, "installation_id": "other", "hostname": "host-2"},
            "a copy of the data folder": {"hostname": "host-2", "event_time_ms": 1},
            "removed": {"state": "removed", "event_time_ms": 1},
        }
        write_state(settings, dataclasses.replace(own, **changes[says]))
        wait_for(lambda: paused.is_over)
        assert isinstance(paused.error, NameTakenError)
        assert ("was removed" if says == "removed" else "was taken over") in str(paused.error)
    assert plane.await_report("pinned", RunReportKind.ENDED).outcome == "stopped"
    assert plane.await_report("movable", RunReportKind.ENDED).outcome == "lease_lost"


def write_state(settings: Settings, state: object) -> None:
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    name = AGENTS.full_name(settings.kafka.topic_prefix)
    write_and_confirm(settings, [OutgoingRecord(name, AGENTS.key(state), codec.encode(state))])


def test_a_silent_agent_loses_its_name_to_the_next_installation(
    settings: Settings, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "SILENCE_S", 1.0)
    with running_agent(settings, tmp_path / "a") as first:
        first.await_ready()
    ended = wait_for(lambda: plane.states()[-1].state == "ended" and plane.states()[-1])
    # As if it had been killed: nothing says that it has ended.
    write_state(settings, dataclasses.replace(ended, state="ready"))
    with running_agent(settings, tmp_path / "b") as second:
        second.await_ready()
        plane.send(CommandKind.DRAIN, epoch=2)
        wait_for(lambda: plane.states()[-1].state in {"draining", "drained"})
        assert plane.states()[-1].epoch == 2

"""What people see of agents, and ask of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli
from parallelm.operations.agents import find_agent, list_agents
from parallelm.operations.errors import UnknownAgentError
from parallelm.operations.topic_records import read_records
from parallelm.schemas.records import RunReportKind
from parallelm.schemas.topic_reader import StartPoint
from parallelm.schemas.topics import ACTIONS
from tests.agent.conftest import running_agent
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.agent.control_plane import ControlPlane


def test_people_list_drain_resume_and_remove_agents(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    save_settings(settings, tmp_path / "mcenter.toml")

    def mcenter(*arguments: str) -> str:
        environ = {"MCENTER_CONFIG": str(tmp_path / "mcenter.toml")}
        result = CliRunner().invoke(cli, ["agents", *arguments], env=environ, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    with running_agent(settings, tmp_path / "agent", labels={"zone": "b"}) as agent:
        agent.await_ready()
        plane.start("r1")
        plane.await_report("r1", RunReportKind.STARTED)
        wait_for(lambda: find_agent(settings, "host-a").runs == 1)
        (row,) = json.loads(mcenter("list", "--format", "json"))
        assert (row["agent"], row["state"], row["runs"], row["labels"]) == ("host-a", "ready", 1, "zone=b")
        assert row["heard_s_ago"] < 10
        assert "takes no more runs" in mcenter("drain", "host-a", "--comment", "new kernel", "--who", "ada")
        wait_for(lambda: find_agent(settings, "host-a").condition == "draining")
        plane.start("r2")
        plane.await_report("r2", RunReportKind.REFUSED)
        mcenter("resume", "host-a", "--comment", "done", "--who", "ada")
        wait_for(lambda: find_agent(settings, "host-a").condition == "ready")
        plane.start("r3")
        plane.await_report("r3", RunReportKind.STARTED)
        mcenter("remove", "host-a", "--comment", "sold", "--who", "ada")
        assert plane.await_report("r3", RunReportKind.ENDED).message == "sold"
        wait_for(lambda: agent.is_over)
    assert agent.error is None
    wait_for(lambda: list_agents(settings) == [])
    assert find_agent(settings, "host-a").condition == "removed"
    audit = [each.value for each in read_records(settings, ACTIONS, StartPoint("beginning"))]
    assert [(each.action, each.who, each.target, each.comment) for each in audit] == [
        ("drain_agent", "ada", "host-a", "new kernel"),
        ("resume_agent", "ada", "host-a", "done"),
        ("remove_agent", "ada", "host-a", "sold"),
    ]
    with pytest.raises(UnknownAgentError, match="no agent 'host-b' has registered; there are: host-a"):
        find_agent(settings, "host-b")

"""A host that is gone raises an alert, by the rules that come with the platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.schemas.topics import ALERTS
from parallelm.schemas.well_known import HOSTS_MLAPP
from tests.agent.conftest import running_agent
from tests.service_process import ServiceProcess
from tests.stream_processors.live import Cluster
from tests.waiting import wait_for

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from tests.agent.control_plane import ControlPlane

RULES = Path(__file__).resolve().parents[2] / "examples" / "monitoring" / "hosts.yaml"


def test_a_host_that_is_gone_raises_an_alert_that_ends_when_it_is_back(
    settings: Settings, plane: ControlPlane, tmp_path: Path
) -> None:
    del plane  # it has made the topics
    cluster = Cluster(settings)
    cluster.apply(RULES.read_text().replace("for: 1m", "for: 5s"))

    def states() -> list[tuple[str, str]]:
        return [
            (found.state.value, found.labels["agent"])
            for found in cluster.read(ALERTS)
            if found.mlapp_id == HOSTS_MLAPP and found.rule == "host gone"
        ]

    with ServiceProcess(tmp_path / "processors", "processors", "--session-timeout-s", "3", settings=settings):
        with running_agent(settings, tmp_path / "a", metrics_interval_s=0.5) as agent:
            agent.await_ready()
            wait_for(lambda: agent.runner)
        wait_for(lambda: states() == [("firing", "host-a")])
        with running_agent(settings, tmp_path / "a", metrics_interval_s=0.5):
            wait_for(lambda: states() == [("firing", "host-a"), ("resolved", "host-a")])
    cluster.close()

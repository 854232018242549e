"""A host that is gone raises an alert, by the rules that come with the platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.schemas.topics import ALERTS, STATISTICS
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
    cluster = Cluster(settings, mlapp=HOSTS_MLAPP)
    cluster.apply(RULES.read_text().replace("for: 1m", "for: 5s"))

    def states() -> list[str]:
        """Of the alert of this host: that none has reported yet is another one."""
        return [
            found.state.value
            for found in cluster.read(ALERTS)
            if found.rule == "host gone" and found.labels.get("agent") == "host-a"
        ]

    with ServiceProcess(tmp_path / "processors", "processors", "--session-timeout-s", "3", settings=settings):
        with running_agent(settings, tmp_path / "a", metrics_interval_s=0.5) as agent:
            agent.await_ready()
            wait_for(lambda: any(batch.origin.mlapp_id == HOSTS_MLAPP for batch in plane.said(STATISTICS)))
        wait_for(lambda: states() == ["firing"], lambda: cluster.read(ALERTS))
        with running_agent(settings, tmp_path / "a", metrics_interval_s=0.5):
            wait_for(lambda: states() == ["firing", "resolved"], lambda: cluster.read(ALERTS))
    cluster.close()

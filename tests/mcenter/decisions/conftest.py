"""One platform for each test file: topics, a worker, a sink, a database; an MLApp for each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from parallelm.connections import Settings, save_settings
from parallelm.mcenter.cli import cli
from tests.conftest import settings_of_a_test
from tests.sinks.conftest import Platform
from tests.stream_processors.live import Cluster, Worker
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.made_once import MadeOnce

Run = Callable[..., Result]


class Decisions:
    """Commands of a person, and what they see."""

    def __init__(self, cluster: Cluster, platform: Platform, worker: Worker, run: Run) -> None:
        self.cluster = cluster
        self.platform = platform
        self.worker = worker
        self.run = run

    def listed(self, *options: str) -> list[dict[str, Any]]:
        """What ``mcenter alerts list`` shows of this test's MLApp."""
        found = self.run("alerts", "list", "--mlapp", self.cluster.mlapp, "--format", "json", *options)
        assert found.exit_code == 0, found.output
        return list(json.loads(found.stdout))

    def wait_for_alert(self, rule: str, state: str) -> dict[str, Any]:
        """The listed alert of a rule, once it is in a state."""
        return wait_for(
            lambda: next(
                (row for row in self.listed("--all") if (row["rule"], row["state"]) == (rule, state)), None
            ),
            lambda: f"{rule} is {state}: {self.listed('--all')}",
        )


@pytest.fixture(scope="module")
def shared(
    stack: Settings, made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Platform, Worker, Path]]:
    folder = tmp_path_factory.mktemp("decisions")
    with settings_of_a_test(stack, folder) as own, made_once.lent(own) as settings:
        file = folder / "mcenter.toml"
        save_settings(settings, file)
        cluster, platform = Cluster(settings), Platform(settings)
        with platform.sink(), Worker(settings, folder) as worker:
            yield cluster, platform, worker, file
        cluster.close()
        platform.client.disconnect()


@pytest.fixture
def decisions(
    shared: tuple[Cluster, Platform, Worker, Path],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Decisions:
    cluster, platform, worker, file = shared
    cluster.mlapp = f"app-{request.node.name[5:25].replace('_', '-')}"
    monkeypatch.setenv("MCENTER_CONFIG", str(file))
    return Decisions(
        cluster,
        platform,
        worker,
        lambda *arguments: CliRunner().invoke(cli, [str(each) for each in arguments]),
    )

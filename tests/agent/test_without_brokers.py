"""The brokers are away, or the agent's store is full: runs go on, and nothing that was to be told is lost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

import pytest

from parallelm.agent.options import AgentOptions
from parallelm.agent.runners import RunKey, RunStatus
from parallelm.agent.service import reader
from parallelm.agent.service.outbox import Outbox
from parallelm.agent.service.reader import Reader
from parallelm.agent.service.run_book import RunBook
from parallelm.agent.service.store import Store
from parallelm.agent.service.told import Speaker
from parallelm.connections import save_settings
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import RunReportKind
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topics import MODELS, RUN_REPORTS, STATISTICS
from tests.agent.conftest import running_agent
from tests.agent.control_plane import ControlPlane, run_spec
from tests.agent.pipelines.host import RunnerHost
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from parallelm.agent.runners import Runner
    from parallelm.connections import Settings
    from tests.agent.conftest import RunningAgent

RUNS, RESTARTS = 200, 720
MOST_BYTES_A_REPORT = 200
"""As docs/agents.md says it."""


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalStack]:
    """A broker that the test stops; it comes back where it was."""
    stack = LocalStack(tmp_path / "stack", services=("kafka",))
    stack.start()
    yield stack
    stack.stop()


def test_what_happens_while_the_brokers_are_away_is_told_in_order_when_they_are_back(
    own_broker: LocalStack, tmp_path: Path
) -> None:
    settings = own_broker.settings
    create_topics(settings)
    plane = ControlPlane(settings)
    folder = tmp_path / "agent"
    with running_agent(settings, folder) as agent:
        runner = agent.await_ready()
        for run_id in ("r1", "r2"):
            plane.start(run_id)
            plane.await_report(run_id, RunReportKind.STARTED)
        plane.close()
        own_broker.stop()
        runner.restart(RunKey("r1", 1))
        wait_for(lambda: waiting(agent.registry) == 1)
        runner.end(RunKey("r2", 1), "succeeded")
        wait_for(lambda: waiting(agent.registry) == 2)
        wait_for(lambda: "no heartbeat was confirmed" in agent.health.why_not_ready())
    # Its own restart, still without brokers: what was to be told is on disk, and what is new comes to it.
    with running_agent(settings, folder) as agent:
        runner = wait_for(lambda: agent.runner)
        wait_for(lambda: RunKey("r1", 1) in runner.runs)
        runner.end(RunKey("r1", 1), "failed", "it broke")
        wait_for(lambda: waiting(agent.registry) == 3)
        assert not agent.is_ready.is_set()
        own_broker.start()
        plane = ControlPlane(settings)
        assert plane.await_report("r1", RunReportKind.ENDED).message == "it broke"
        plane.await_report("r2", RunReportKind.ENDED)
        assert plane.kinds("r1") == ["accepted", "started", "restarted", "ended"]
        assert plane.kinds("r2") == ["accepted", "started", "ended"]
        numbers = [report.seq for report in plane.reports("r1")]
        assert numbers == sorted(numbers)
        agent.await_ready()
        plane.start("r3")
        plane.await_report("r3", RunReportKind.STARTED)
        wait_for(lambda: waiting(agent.registry) == 0)
        plane.close()


PROGRAM = """
from parallelm.mlops import mlops
mlops.init()
for number in range(1000):
    mlops.set_stat("x", float(number), timestamp=1_400_000_000 + number, units="second")
open("m.txt", "w").write("weights")
model = mlops.Model("m", "Text")
model.set_model_path("m.txt")
mlops.publish_model(model)
mlops.done()
"""


def test_what_a_run_reported_that_ended_without_brokers_is_sent_once_when_they_are_back(
    own_broker: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else of the component library runs there that would send it."""
    settings = own_broker.settings
    create_topics(settings)
    own = dataclasses.replace(settings.component, outbox_folder=str(tmp_path / "outbox"))
    save_settings(dataclasses.replace(settings, component=own), tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    (tmp_path / "fit.py").write_text(PROGRAM)
    (tmp_path / "host").mkdir()
    own_broker.stop()
    host = RunnerHost(tmp_path / "host", component=own)
    try:
        ended = host.run({"id": "fit", "command": f"python {tmp_path / 'fit.py'}"})
        assert ended.outcome == "succeeded", host.texts(ended.key)
        spool = tmp_path / "host" / "agent" / "spool"
        assert list(spool.iterdir())
        own_broker.start()
        plane = ControlPlane(settings)
        host.restart()  # an agent that starts looks at once
        wait_for(lambda: (host.look(), len(plane.said(MODELS)))[1], lambda: list(spool.iterdir()))
        wait_for(lambda: not list(spool.iterdir()), lambda: list(spool.iterdir()))
        batches = wait_for(lambda: plane.said(STATISTICS))
        assert {(each.origin.mlapp_id, each.origin.node_id) for each in batches} == {("churn", "fit")}
        samples = sorted(
            pair
            for batch in batches
            for series in batch.series
            for pair in zip(series.values, series.timestamps_ms, strict=True)
        )
        assert samples == [(float(number), (1_400_000_000 + number) * 1000) for number in range(1000)]
        (model,) = plane.said(MODELS)
        assert (model.name, model.origin.node_id) == ("m", "fit")
        plane.close()
    finally:
        host.close()


def waiting(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("mcenter_agent_waiting_reports")


def test_a_full_store_delays_reports_and_commands_and_loses_none(
    settings: Settings, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"r{number}" for number in range(40)]
    backlog = 0
    monkeypatch.setattr(reader, "_MOST_WAITING", 5)

    def set_backlog(made: Reader, count: int) -> None:
        nonlocal backlog
        backlog = max(backlog, count)
        made.__dict__["backlog"] = count

    monkeypatch.setattr(
        Reader, "backlog", property(lambda made: made.__dict__["backlog"], set_backlog), raising=False
    )
    with running_agent(settings, tmp_path / "agent") as agent:
        runner = agent.await_ready()
        for name in names:
            plane.start(name)
        for name in names:
            plane.await_report(name, RunReportKind.STARTED)
        wait_for(lambda: waiting(agent.registry) == 0)
        limit_store(agent, pages=1)  # that is, to what it has now
        for key, status in list(runner.runs.items()):
            runner.change(dataclasses.replace(status, message=key.run_id + "x" * 1900, starts=2))
        wait_for(lambda: "store cannot be written" in agent.health.why_not_ready())
        runner.end(RunKey("r1", 1), "succeeded")
        late = [f"late{number}" for number in range(30)]
        for name in late:
            plane.start(name)
        wait_for(lambda: backlog > 5)
        assert plane.kinds("r0") == ["accepted", "started"]
        limit_store(agent, pages=100_000)
        for name in late:
            plane.await_report(name, RunReportKind.STARTED)
        assert backlog < len(late)
        plane.await_report("r1", RunReportKind.ENDED)
        for name in names:
            plane.await_report(name, RunReportKind.RESTARTED)
        assert plane.kinds("r0") == ["accepted", "started", "restarted"]
        wait_for(lambda: not agent.health.why_not_ready())


class Restarting:
    """Runs that are as the test says."""

    now: list[RunStatus]

    def changed(self) -> list[RunStatus]:
        return self.now

    def settle(self, status: RunStatus) -> None:
        """It is known."""


@pytest.mark.long
def test_an_hour_of_reports_of_two_hundred_restarting_runs_fits_the_store_and_arrives_in_order(
    topics: Settings, tmp_path: Path
) -> None:
    """Each run starts again every five seconds: far more often than with the pauses that are the default."""
    names = [f"{number:032x}" for number in range(RUNS)]
    codec = Codec(make_registry(topics.schema_registry, topics.kafka.topic_prefix))
    topic = RUN_REPORTS.full_name(topics.kafka.topic_prefix)
    away = dataclasses.replace(topics.kafka, bootstrap_servers="127.0.0.1:1")
    runner = Restarting()
    speaker = Speaker(agent_id="host-a", epoch=1)
    options = AgentOptions(name="host-a", folder=tmp_path)
    path = tmp_path / "agent.db"
    with Store(path, options.store_max_bytes) as store:
        book = RunBook({"process": cast("Runner", runner)}, store, Outbox(away, topic), codec)
        spec = run_spec("r")
        for starts in range(RESTARTS + 1):
            runner.now = [
                RunStatus(key=RunKey(name, 1), spec=dataclasses.replace(spec, run_id=name), starts=starts, pid=4_000_000)
                for name in names
            ]  # fmt: skip
            book.look()
            book.tell_changes(speaker)
            assert book.commit(), book.problem
    spooled = RUNS * (RESTARTS + 1)  # with those of their acceptance
    size_bytes = path.stat().st_size
    assert size_bytes < options.store_max_bytes / 2
    assert size_bytes / spooled < MOST_BYTES_A_REPORT

    # The agent that is started when the brokers are back.
    with Store(path, options.store_max_bytes) as store:
        outbox = Outbox(topics.kafka, topic)
        book = RunBook({}, store, outbox, codec)
        wait_for(lambda: (outbox.poll(), book.take_confirmations(), not len(outbox))[2], lambda: len(outbox))
        book.take_confirmations()
        assert store.reports() == []
    plane = ControlPlane(topics)
    wait_for(lambda: len(plane.said(RUN_REPORTS)) >= spooled, lambda: len(plane.said(RUN_REPORTS)))
    starts_of: dict[str, list[int]] = {name: [] for name in names}
    for report in plane.said(RUN_REPORTS):
        starts_of[report.run_id].append(report.starts)
    plane.close()
    assert sorted(starts_of) == names
    for starts in starts_of.values():
        assert starts == list(range(RESTARTS + 1))


def limit_store(agent: RunningAgent, *, pages: int) -> None:
    """As a disk that has so much room."""
    assert agent.store is not None
    agent.store._database.execute(f"PRAGMA max_page_count={pages}")

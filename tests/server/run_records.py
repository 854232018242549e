"""An MLApp that agents run, as the control plane and two agents would report it: ``nightly``, over the last week.

Written to the real topics, with times relative to ``now_ms``: what runs then runs still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.schemas import records, topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import RunState
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.well_known import HOST_CPU, HOST_DISK, HOST_MEMORY, HOST_NODE, HOSTS_MLAPP
from tests.people import person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

MLAPP: Final = "nightly"
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
DEFINITION: Final = """\
mlapp: nightly
name: Nightly scores
description: Trained every night, and served all day.
nodes:
  - id: train
    name: Train
    type: model_producer
    schedule: {cron: "0 2 * * *", timezone: UTC}
    steps: [{command: python train.py}]
  - id: serve
    name: Serve
    type: model_consumer
    mode: online
    parents: [train]
    consumes: [train]
    steps: [{command: python serve.py}]
  - id: report
    name: Report
    type: auxiliary
    parents: [train]
    triggers: [{after: train}]
    steps: [{command: python report.py}]
"""
SERVING: Final = "5e41e0000000000a"
FAILED: Final = "fa11ed000000000b"
WAITING: Final = "3a171000000000c"
MODEL: Final = "nightly-model-1"
LINES: Final = 260
"""Lines that the serving run has written."""
_CAUSE: Final = records.RecordPosition(topic="", partition=-1, offset=-1)
_INSTANCES: Final = {"train": "instance-train", "serve": "instance-serve", "report": "instance-report"}


def seed_runs(settings: Settings, now_ms: int) -> None:
    """Define the MLApp, and send what has happened to it."""
    apply_definition(settings, validate_definition(DEFINITION.encode(), "nightly.yaml"), who=person("ada"))
    send(settings, *_records(now_ms))


def send(settings: Settings, *sent: tuple[Topic, Any]) -> None:
    """Write records as their senders would."""
    prefix = settings.kafka.topic_prefix
    codec, writer = Codec(make_registry(settings.schema_registry, prefix)), TopicWriter(settings)
    for topic, record in sent:
        writer.write_one(
            OutgoingRecord(topic.full_name(prefix), topic.key(record).decode(), codec.encode(record))
        )


def transition(run_id: str, node_id: str, state: RunState, at_ms: int, **more: Any) -> records.RunTransition:
    """A change of state."""
    fields: dict[str, Any] = {
        "event_time_ms": at_ms,
        "decided_at_ms": at_ms,
        "transition_id": f"{run_id}/{node_id}/{state}/{at_ms}",
        "mlapp_id": MLAPP,
        "node_id": node_id,
        "pipeline_instance_id": _INSTANCES.get(node_id, ""),
        "instance": 0,
        "run_id": run_id,
        "attempt": 1,
        "state": state,
        "previous_state": RunState.UNKNOWN,
        "agent_id": "",
        "reason": "",
        "trigger": "schedule",
        "trigger_id": str(at_ms),
        "due_at_ms": at_ms,
        "definition_version": 1,
        "model_id": "",
        "exit_code": 0,
        "starts": 0,
        "who": "",
        "cause": _CAUSE,
    }
    return records.RunTransition(**(fields | more))


def _run(run_id: str, node: str, due_ms: int, agent: str, end: RunState | None, **more: Any) -> Iterator[Any]:
    """A run from its due time on; it ends after four minutes."""
    shared = {"due_at_ms": due_ms, **{name: more[name] for name in ("trigger", "model_id") if name in more}}
    yield transition(run_id, node, RunState.WAITING, due_ms, reason="due by its schedule", **shared)
    yield transition(
        run_id,
        node,
        RunState.ASSIGNED,
        due_ms + 300,
        agent_id=agent,
        reason=f"{agent} is to start it",
        **shared,
    )
    began = {"agent_id": agent, "starts": 1, **shared}
    yield transition(run_id, node, RunState.RUNNING, due_ms + 900, reason=f"started on {agent}", **began)
    if end is not None:
        reason = more.get("reason", "the program ended with exit code 0")
        yield transition(
            run_id, node, end, due_ms + 240_000, reason=reason, exit_code=more.get("exit_code", 0), **began
        )


def _records(now_ms: int) -> Iterator[tuple[Topic, Any]]:
    night_ms = now_ms // DAY_MS * DAY_MS + 2 * HOUR_MS
    if night_ms > now_ms - HOUR_MS:
        night_ms -= DAY_MS
    yield (
        topics.RUNS,
        transition("", "", RunState.LAUNCHED, night_ms - 7 * DAY_MS, who="ada", reason="launched by ada"),
    )
    for days in range(6, -1, -1):
        due_ms = night_ms - days * DAY_MS
        if days == 3:
            missed = "the control plane was away until 04:00, and the schedule skips what it missed"
            yield topics.RUNS, transition(f"{days}missed", "train", RunState.MISSED, due_ms, reason=missed)
            continue
        failed = days == 1
        run_id = FAILED if failed else f"{days}7a1000000000{days}"
        end = RunState.FAILED if failed else RunState.SUCCEEDED
        more = {"reason": "the program ended with exit code 1", "exit_code": 1} if failed else {}
        for each in _run(run_id, "train", due_ms, "gpu-1", end, **more):
            yield topics.RUNS, each
        if not failed:
            for each in _run(
                f"{days}4e9000000000", "report", due_ms + 241_000, "web-1", end, trigger="parent"
            ):
                yield topics.RUNS, each
    for each in _run(
        SERVING, "serve", night_ms - 5 * DAY_MS, "web-1", None, trigger="service", model_id=MODEL
    ):
        yield topics.RUNS, each
    waiting = "no agent has the labels gpu=yes and is ready: gpu-1 is draining"
    yield (
        topics.RUNS,
        transition(
            WAITING, "train", RunState.WAITING, now_ms - 120_000, trigger="person", who="bob", reason=waiting
        ),
    )
    yield topics.MODELS, _model(night_ms - 6 * DAY_MS + 200_000)
    yield from _agents(now_ms)
    yield _load(now_ms)
    yield from _logs(now_ms, night_ms)


def _model(at_ms: int) -> records.ModelAnnouncement:
    return records.ModelAnnouncement(
        origin=records.Origin(mlapp_id=MLAPP, node_id="train", pipeline_instance_id="instance-train", agent_id="gpu-1"),
        producer_id="nightly", seq=0, event_time_ms=at_ms, model_id=MODEL, name="scores", format="Onnx", description="",
        artifact_url="file:///none", file_name="m.onnx", is_directory=False, size_bytes=1, sha256="", annotations={},
        owner="", train_version="", model_version="",
    )  # fmt: skip


def _agents(now_ms: int) -> Iterator[tuple[Topic, Any]]:
    serving = records.PipelineState(
        mlapp_id=MLAPP, node_id="serve", pipeline_instance_id="instance-serve", state="running", pid=4711,
        since_ms=now_ms - 5 * DAY_MS, message="", run_id=SERVING, attempt=1,
    )  # fmt: skip
    for name, state, labels, pipelines in (
        ("web-1", "ready", {"zone": "eu"}, [serving]),
        ("gpu-1", "draining", {"gpu": "yes", "zone": "eu"}, []),
    ):
        yield topics.AGENTS, records.AgentState(
            event_time_ms=now_ms - HOUR_MS, agent_id=name, hostname=f"{name}.example", version="1.0", labels=labels,
            pipelines=pipelines, state=state, epoch=1, installation_id=name, cpus=4.0, memory_bytes=16 << 30,
            runners=["process"],
        )  # fmt: skip


def _load(now_ms: int) -> tuple[Topic, Any]:
    """What the agent on web-1 has measured in the last hour."""
    times = [float(now_ms - HOUR_MS + number * 60_000) for number in range(60)]
    return topics.STATISTICS, records.StatisticsBatch(
        origin=records.Origin(mlapp_id=HOSTS_MLAPP, node_id=HOST_NODE, pipeline_instance_id="", agent_id="web-1"),
        producer_id="web-1", seq=1,
        series=[
            records.Series(
                name=name, model_id="", category="TIME_SERIES", graph_type="LINEGRAPH", labels={}, timestamps_ms=times,
                values=[float(number % 40) for number in range(60)],
            )
            for name in (HOST_CPU, HOST_MEMORY, HOST_DISK)
        ],
    )  # fmt: skip


def lines_of(
    run_id: str, node: str, first: int, texts: list[str], at_ms: int, **more: Any
) -> records.LogLines:
    """Lines of a run, a second apart."""
    return records.LogLines(
        origin=records.Origin(
            mlapp_id=more.get("mlapp_id", MLAPP), node_id=node, pipeline_instance_id=_INSTANCES[node], agent_id="web-1"
        ),
        run_id=run_id, attempt=1, step_id="", first_line=first, dropped=more.get("dropped", 0),
        timestamps_ms=[at_ms + number * 1000 for number in range(len(texts))],
        streams=more.get("streams", ["stdout"] * len(texts)), lines=texts,
    )  # fmt: skip


def _logs(now_ms: int, night_ms: int) -> Iterator[tuple[Topic, Any]]:
    served = [f"scored {number} customers in {number % 7}0 ms" for number in range(1, LINES + 1)]
    served[-1] = "model nightly-model-1 <b>answers</b>"
    yield topics.LOGS, lines_of(SERVING, "serve", 1, served, now_ms - LINES * 1000)
    trace = [
        "epoch 1: loss 0.71",
        "Traceback (most recent call last):",
        "ValueError: no rows since yesterday",
    ]
    streams = ["stdout", "stderr", "stderr"]
    yield topics.LOGS, lines_of(FAILED, "train", 1, trace, night_ms - DAY_MS + 9_000, streams=streams)

"""Silence on a real broker: what goes quiet fires, what only waits in a backlog does not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.schemas.topics import ALERTS, EVENTS, STATISTICS
from parallelm.stream_processors.runtime.caught_up import CaughtUp
from parallelm.stream_processors.runtime.log_ends import HandledOffsets, LogEnds
from parallelm.stream_processors.runtime.partitioning import control_partition
from tests.waiting import wait_for

from .live import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from .live import Cluster

RULES = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
alerts:
  - {name: node quiet, type: no_data, node: predict, for: 5s}
  - {name: never seen, type: no_data, node: predict, statistic: absent, for: 5s}
"""


def states(cluster: Cluster, rule: str) -> list[str]:
    return [found.state.value for found in cluster.read(ALERTS) if found.rule == rule]


def report(cluster: Cluster) -> None:
    cluster.statistic(1, "rate", 1.0)
    cluster.flush()


def test_silence_fires_and_a_downtime_of_the_processors_is_no_silence(cluster: Cluster, tmp_path: Path):
    worker = Worker(cluster.settings, tmp_path / "worker")
    with worker.gone_at_the_end():
        cluster.apply(RULES)
        worker.start()

        def never_seen() -> bool:
            report(cluster)
            return states(cluster, "never seen") == ["firing"]

        wait_for(never_seen, "the statistic that never came is missed, while the node reports")
        assert states(cluster, "node quiet") == []
        worker.kill()
        # Longer than ``for``: when the worker comes back, the last report that it knows of is too old.
        restarted = time.monotonic() + 6
        wait_for(lambda: (report(cluster), time.monotonic() > restarted)[1])
        worker.start()
        reported_until = time.monotonic() + 13  # it fires after the time to settle, if ever
        wait_for(lambda: (report(cluster), time.monotonic() > reported_until)[1])
        assert states(cluster, "node quiet") == []
        wait_for(lambda: states(cluster, "node quiet") == ["firing"], "the node is quiet")
        cluster.statistic(1, "absent", 1.0)
        cluster.flush()
        wait_for(lambda: states(cluster, "node quiet") == ["firing", "resolved"], "the node is back")
        wait_for(lambda: states(cluster, "never seen") == ["firing", "resolved"], "the statistic is there")
        fired = next(found for found in cluster.read(ALERTS) if found.rule == "node quiet")
        assert (fired.node_id, fired.labels["node"], fired.threshold) == ("predict", "predict", 5)
        assert "node 'predict' has been quiet for 5s; last reported at " in fired.reason
        assert fired.event_time_ms == fired.started_at_ms + 5_000
        assert worker.process is not None
        assert worker.process.poll() is None


def test_time_waits_for_statistics_that_the_stage_before_has_not_handled(cluster: Cluster):
    """What a shard of the MLApp stage asks before it lets time pass."""
    statistics, group = cluster.name(STATISTICS), f"{cluster.name(STATISTICS)}-handled-by"
    earlier = [(statistics, partition) for partition in range(STATISTICS.partitions)]
    own = (cluster.name(EVENTS), control_partition(cluster.mlapp))
    report(cluster)
    kafka = cluster.settings.kafka

    async def ask() -> None:
        ends = LogEnds(kafka)
        caught_up = CaughtUp(ends, HandledOffsets(kafka, group), earlier=earlier, own=[own])
        assert await caught_up.ends() is None, "nothing is handled"
        waiting = await ends.of(earlier)
        report(cluster)  # comes after the moment that is asked about
        consumer = Consumer(client_config(kafka, group_id=group))
        consumer.commit(
            offsets=[TopicPartition(*place, end) for place, end in waiting.items()], asynchronous=False
        )
        consumer.close()
        found = None
        async with asyncio.timeout(30):
            while found is None:
                found = await caught_up.ends()
        assert found == {own[0]: (await ends.of([own]))[own]}
        assert await caught_up.ends() is None, "the next moment is after the second report"

    asyncio.run(ask())

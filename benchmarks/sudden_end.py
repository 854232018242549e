"""What a component loses that ends by ``os._exit``: the age of its oldest report that did not arrive.

On a broker of its own, or on the one that ``MCENTER_CONFIG`` names.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import uuid
from typing import Any

from benchmarks.set_stat import broker
from parallelm.connections import load_settings
from parallelm.connections.kafka import client_config
from parallelm.schemas import topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry

RUNS = 20
LIVES_S = (0.1, 0.2, 0.3, 0.5, 1.0, 3.0)

COMPONENT = """
import os, sys, time
from parallelm.mlops import mlops
mlops.init(mlops_mode="agent")
started, life_s = time.perf_counter(), float(sys.argv[1])
while (age_s := time.perf_counter() - started) < life_s:
    mlops.set_stat(sys.argv[2], age_s)
    time.sleep(0.001)
os._exit(0)
"""


def last_arrived_s(names: set[str]) -> dict[str, float]:
    """By statistic the largest value that arrived."""
    from confluent_kafka import Consumer, TopicPartition

    settings = load_settings()
    topic = topics.STATISTICS.full_name(settings.kafka.topic_prefix)
    consumer = Consumer(
        client_config(
            settings.kafka, group_id="benchmark", enable_partition_eof=True, auto_offset_reset="earliest"
        )
    )
    codec, found = Codec(PackagedRegistry()), dict.fromkeys(names, 0.0)
    unread = set(range(topics.STATISTICS.partitions))
    consumer.assign([TopicPartition(topic, partition, 0) for partition in unread])
    while unread:
        for message in consumer.consume(1000, timeout=1.0):
            if message.error():
                unread.discard(message.partition())
                continue
            batch: Any = codec.decode(message.value())
            for series in batch.series:
                if series.name in found:
                    found[series.name] = max(found[series.name], *series.values)
    consumer.close()
    return found


def main() -> None:
    """Processes of several lives, each ``RUNS`` times."""
    with broker():
        lives = {f"{uuid.uuid4().hex}": life_s for life_s in LIVES_S for _ in range(RUNS)}
        for name, life_s in lives.items():
            subprocess.run([sys.executable, "-c", COMPONENT, str(life_s), name], check=True, env=os.environ)
        arrived = last_arrived_s(set(lives))
    print("a component that reports every millisecond and ends by os._exit")
    for life_s in LIVES_S:
        lost_ms = sorted((life_s - arrived[name]) * 1000 for name, life in lives.items() if life == life_s)
        print(
            f"  {life_s:.1f} s after init(): the last {statistics.median(lost_ms):4.0f} ms are lost, "
            f"{lost_ms[-1]:4.0f} ms at worst of {RUNS} runs"
        )


if __name__ == "__main__":
    main()

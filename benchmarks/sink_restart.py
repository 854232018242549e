"""How soon a sink is back at work after ``kill -9``, when its supervisor starts it again at once under its instance id.

From the kill until records that were sent to every partition after it are rows, the start of the process included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas import topics
from parallelm.schemas.records import Origin
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.statistics_encoder import StatisticsEncoder, series_header
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

COMMAND = (sys.executable, "-m", "parallelm.mcenter", "sink", "--instance-id", "sink-0")
GIVE_UP_AFTER_S = 120.0
POLL_S = 0.01


def main() -> None:
    """Print the median and the longest of some kills."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=20)
    kills = options.parse_args().kills
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder), services=("kafka", "clickhouse"))
        with stack:
            settings = stack.admin_settings
            create_topics(settings)
            migrate(settings)
            save_settings(settings, Path(folder) / "bench.toml")
            with clickhouse_client(settings.clickhouse) as client, (Path(folder) / "log").open("ab") as log:
                times_s = _times_s(settings, client, log.fileno(), Path(folder) / "bench.toml", kills)
    print(
        f"back at work after {statistics.median(times_s):.2f} s, at most {max(times_s):.2f} s, of {kills} kills"
    )


def _times_s(settings: Settings, client: Client, log: int, config: Path, kills: int) -> list[float]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            COMMAND, env=os.environ | {"MCENTER_CONFIG": str(config)}, stdout=log, stderr=log
        )

    producer = Producer(client_config(settings.kafka))
    sink = start()
    try:
        _wait(client, _send(settings, producer, 0))
        times_s = []
        for number in range(1, kills + 1):
            sink.kill()
            killed_s = time.perf_counter()
            sink.wait()
            sink = start()
            _wait(client, _send(settings, producer, number))
            times_s.append(time.perf_counter() - killed_s)
        return times_s
    finally:
        sink.terminate()
        sink.wait(30)


def _send(settings: Settings, producer: Producer, number: int) -> int:
    """A sample to each partition; how many were sent by now."""
    topic, partitions = topics.STATISTICS.full_name(settings.kafka.topic_prefix), topics.STATISTICS.partitions
    origin = Origin(mlapp_id="app", node_id="predict", pipeline_instance_id="pi-1", agent_id="host-1")
    encoder = StatisticsEncoder(PackagedRegistry(), origin, "0" * 32)
    for partition in range(partitions):
        encoder.add(
            series_header(SeriesKey("stat", "model-1")), array("d", [time.time() * 1000]), array("d", [1.0])
        )
        producer.produce(topic, encoder.take(number), partition=partition)
    producer.flush(30)
    return partitions * (number + 1)


def _wait(client: Client, rows: int) -> None:
    give_up_s = time.monotonic() + GIVE_UP_AFTER_S
    while client.execute("SELECT count() FROM statistics")[0][0] < rows:
        if time.monotonic() > give_up_s:
            raise SystemExit("the sink does not go on; see its log")
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()

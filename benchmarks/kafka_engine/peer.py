"""The peer's side of ``benchmarks.sink``: ClickHouse's own Kafka engine, which chdb 3.6.0 brings, into the tables of a file.

Runs in an environment of its own (``environment.py``) and prints one JSON line. Arguments: broker, topic, URL of the
registry, samples to wait for, JSON file with the statements that create the tables.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from chdb import session

GIVE_UP_AFTER_S = 60.0
"""Without another row."""

POLL_S = 0.1
"""Between two looks at how many rows there are: each takes some of the server's time."""

QUEUE = """
CREATE TABLE peer.queue
(
    origin Tuple(mlapp_id String, node_id String, pipeline_instance_id String, agent_id String),
    producer_id String,
    seq Int64,
    series Array(Tuple(
        name String, model_id String, category String, graph_type String, labels Map(String, String),
        timestamps_ms Array(Float64), values Array(Float64)
    ))
)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{broker}', kafka_topic_list = '{topic}', kafka_group_name = 'peer-{group}',
    kafka_format = 'AvroConfluent', format_avro_schema_registry_url = '{registry}', kafka_num_consumers = 1,
    kafka_max_block_size = 10000, kafka_poll_max_batch_size = 10000, kafka_flush_interval_ms = 500
"""

SAMPLES = """
CREATE MATERIALIZED VIEW peer.from_queue TO peer.statistics AS
SELECT
    origin.mlapp_id AS mlapp_id, one.name AS name, origin.node_id AS node_id, one.model_id AS model_id,
    mapSort(one.labels) AS labels, fromUnixTimestamp64Milli(toInt64(time_ms), 'UTC') AS event_time, sample AS value,
    origin.agent_id AS agent_id, origin.pipeline_instance_id AS pipeline_instance_id, one.category AS category,
    one.graph_type AS graph_type, producer_id, seq, _timestamp_ms AS ingested_at, _topic, '' AS _topic_id,
    toInt32(_partition) AS _partition, toInt64(_offset) AS _offset, toUInt32(number - 1) AS _series,
    toUInt32(place - 1) AS _index, series_id
FROM
(
    SELECT
        *, _topic, _partition, _offset, _timestamp_ms, one, number,
        cityHash64(
            origin.mlapp_id, one.name, origin.node_id, one.model_id, origin.agent_id, mapSort(one.labels)
        ) AS series_id
    FROM peer.queue ARRAY JOIN series AS one, arrayEnumerate(series) AS number
)
ARRAY JOIN one.timestamps_ms AS time_ms, one.values AS sample, arrayEnumerate(one.values) AS place
"""


def main(broker: str, topic: str, registry: str, total: int, statements: list[str]) -> dict[str, Any]:
    """Rows, and rows a second from the first that a reader sees to the last."""
    with tempfile.TemporaryDirectory() as folder:
        engine = session.Session(folder)
        engine.query("CREATE DATABASE peer")
        engine.query("USE peer")
        for statement in statements:
            engine.query(statement)
        engine.query(QUEUE.format(broker=broker, topic=topic, registry=registry, group=uuid.uuid4().hex))
        engine.query(SAMPLES)
        found = _watch(engine, total)
        if found["rows"] < total:
            found["error"] = engine.query("SELECT name, last_error_message FROM system.errors", "TSV").data()
        for name in ("from_queue", "queue"):
            engine.query(f"DROP TABLE peer.{name}")
        engine.close()
    return found


def _watch(engine: Any, total: int) -> dict[str, Any]:
    count = first_count = 0
    first_s = last_s = time.perf_counter()
    while count < total and time.perf_counter() - last_s < GIVE_UP_AFTER_S:
        before, count = count, int(engine.query("SELECT count() FROM peer.statistics", "TSV").data() or 0)
        if count > before:
            last_s = time.perf_counter()
            if not before:
                first_s, first_count = last_s, count
        time.sleep(POLL_S)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": count,
        "rate": (count - first_count) / max(last_s - first_s, 1e-9),
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory_bytes": used.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4], int(sys.argv[4]), json.loads(Path(sys.argv[5]).read_text()))))

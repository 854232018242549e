"""Every metric of the sink, named here only."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram


@dataclass(frozen=True, slots=True)
class SinkMetrics:
    """Metrics of one sink process, registered in ``registry``."""

    registry: CollectorRegistry = field(default_factory=lambda: REGISTRY)
    records: Counter = field(init=False)
    """Records whose block is in ClickHouse, dead letters and tombstones included."""
    rows: Counter = field(init=False)
    """Rows sent to ClickHouse; of statistics, samples."""
    bytes_consumed: Counter = field(init=False)
    """Bytes of keys and values of those records."""
    blocks: Counter = field(init=False)
    """Blocks inserted."""
    replays: Counter = field(init=False)
    """Blocks rebuilt from an intent after a crash or a rebalance."""
    retries: Counter = field(init=False)
    """Attempts that failed because a service was unavailable, by reason."""
    dead_letters: Counter = field(init=False)
    """Records sent to the dead letters, by topic and stage."""
    lost_records: Counter = field(init=False)
    """Offsets that Kafka had deleted before they were read."""
    insert_seconds: Histogram = field(init=False)
    """Time of one insert, by table."""
    lag: Gauge = field(init=False)
    """Records in a topic that are not in ClickHouse yet."""
    partitions: Gauge = field(init=False)
    """Partitions that this process owns."""
    stopped_topics: Gauge = field(init=False)
    """1 for a topic that is stopped, missing, or cannot be written for more than 30 s."""
    last_insert_time: Gauge = field(init=False)
    """Clock at the last insert, epoch seconds."""
    progress_age: Gauge = field(init=False)
    """Seconds since the sink was known to get on with its work."""

    def __post_init__(self) -> None:
        by_topic = ("topic",)
        made: dict[str, Counter | Gauge | Histogram] = {
            "records": self._counter("records", "Records whose block is in ClickHouse.", by_topic),
            "rows": self._counter("rows", "Rows sent to ClickHouse.", by_topic),
            "bytes_consumed": self._counter("bytes", "Bytes of the records in ClickHouse.", by_topic),
            "blocks": self._counter("blocks", "Blocks inserted.", by_topic),
            "replays": self._counter("replays", "Blocks rebuilt from an intent.", by_topic),
            "retries": self._counter("retries", "Attempts that failed for now.", ("reason",)),
            "dead_letters": self._counter(
                "dead_letters", "Records sent to the dead letters.", ("topic", "stage")
            ),
            "lost_records": self._counter("lost_records", "Offsets deleted before they were read.", by_topic),
            "insert_seconds": Histogram(
                "mcenter_sink_insert_seconds", "Time of one insert.", ("table",), registry=self.registry
            ),
            "lag": Gauge(
                "mcenter_sink_lag_records", "Records not yet in ClickHouse.", by_topic, registry=self.registry
            ),
            "partitions": Gauge("mcenter_sink_partitions", "Partitions owned.", registry=self.registry),
            "stopped_topics": Gauge(
                "mcenter_sink_stopped_topics",
                "1 for a topic that is not written while others are: /ready says why.",
                by_topic,
                registry=self.registry,
            ),
            "last_insert_time": Gauge(
                "mcenter_sink_last_insert_timestamp_seconds",
                "Clock at the last insert.",
                registry=self.registry,
            ),
            "progress_age": Gauge(
                "mcenter_sink_progress_age_seconds",
                "Time since the last poll of Kafka, or since writing to ClickHouse began to fail, whichever is longer.",
                registry=self.registry,
            ),
        }
        for name, metric in made.items():
            object.__setattr__(self, name, metric)

    def _counter(self, name: str, what: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"mcenter_sink_{name}", what, labels, registry=self.registry)

"""A sink that has much to catch up with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas import topics
from tests.sinks import samples

if TYPE_CHECKING:
    from tests.sinks.conftest import Platform

RECORDS, SERIES = 40_000, 20
FEWEST_ROWS_OF_A_BLOCK = 30_000
"""A block of each of 12 partitions, made of all that fits in memory at once, has half as many."""


def test_a_backlog_is_written_in_large_blocks_and_other_topics_go_on_beside_it(platform: Platform):
    batch = samples.batch(*(samples.series([1.0], [2.0], name=f"stat.{n}" + "x" * 40) for n in range(SERIES)))
    record = platform.codec.encode(batch)
    for number in range(RECORDS):
        platform.send(topics.STATISTICS, record, key=f"origin {number % 64}", flush=False)
        if number % 1_000 == 0:
            platform.flush()
    platform.send(topics.EVENTS, samples.event())
    with platform.sink() as sink:
        platform.wait("SELECT count() FROM events", 1)
        platform.wait("SELECT count() FROM statistics", RECORDS * SERIES)
        platform.wait("SELECT sum(samples) FROM statistics_by_day", RECORDS * SERIES)
        topic = topics.STATISTICS.full_name(platform.settings.kafka.topic_prefix)
        blocks = sink.metric("blocks_total", topic=topic)
    places = "SELECT uniqExact(_partition, _offset, _series) FROM statistics"
    assert platform.value(places) == RECORDS * SERIES
    assert RECORDS * SERIES / blocks > FEWEST_ROWS_OF_A_BLOCK

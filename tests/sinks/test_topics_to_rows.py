"""Every record type from its topic to its row, and what cannot be a row to the dead letters."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient

from parallelm.agent.keeping.log_reader import STREAMS
from parallelm.connections.kafka import client_config
from parallelm.schemas import topics
from parallelm.schemas.dead_letters import MAX_STORED_BYTES
from parallelm.schemas.topic_admin import create_topics
from parallelm.sinks.dead_letters import DeadLetterLimit
from parallelm.sinks.errors import NotReadyError, SinkError
from parallelm.sinks.service import wait_for_warehouse
from parallelm.sinks.tables import STORED_TOPICS
from tests.sinks import samples
from tests.sinks.expected_rows import SINGLE_ROWS
from tests.sinks.samples import T0_MS
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from tests.sinks.conftest import Platform


def one_row(platform: Platform, table: str) -> dict[str, Any]:
    rows, types = platform.client.execute(f"SELECT * FROM {table}", with_column_types=True)
    assert len(rows) == 1, rows
    return dict(zip([name for name, _ in types], rows[0], strict=True))


def test_every_record_becomes_its_row(platform: Platform):
    with platform.sink():
        for name, (record, _, _) in SINGLE_ROWS.items():
            platform.send(topics.by_name(name), record, key="key", flush=False)
        platform.flush()
        for name, (_, table, expected) in SINGLE_ROWS.items():
            platform.wait(f"SELECT count() FROM {table}", 1)
            row = one_row(platform, table)
            assert {column: row[column] for column in expected} == expected
            assert row["_topic"] == topics.by_name(name).full_name(platform.settings.kafka.topic_prefix)
            assert (row["_offset"], len(row["_topic_id"])) == (0, 22)
            assert abs((datetime.now(UTC) - row["ingested_at"]).total_seconds()) < 3600
    assert set(SINGLE_ROWS) | {"statistics"} == {topic.name for topic in STORED_TOPICS}
    histograms = platform.rows(
        "SELECT feature, kind, weights, row_count, missing_count, _index FROM histograms ORDER BY _index"
    )
    assert histograms == [
        ("temp", "continuous", [0.25, 0.75], 100, 4, 0),
        ("carrier", "categorical", [0.5, 0.5], 100, 0, 1),
    ]


def test_the_lines_of_every_stream_of_a_run_become_rows(platform: Platform):
    """Also those that its keeper writes: why it was started again, which limits are not held."""
    streams = sorted(STREAMS.values())
    with platform.sink():
        platform.send(topics.LOGS, samples.log_lines(*streams, streams=streams), key="key")
        platform.wait("SELECT count() FROM logs", len(streams))
    assert platform.rows("SELECT stream, text FROM logs ORDER BY line") == [(each, each) for each in streams]


WIDTHS_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


def test_samples_and_rollups_hold_exactly_what_was_sent(platform: Platform):
    chance = random.Random(5)
    expected: list[tuple[str, str, int, float]] = []
    batches = []
    for seq in range(200):
        many = []
        for name, line in (("accuracy", ""), ("latency", "p95"), ("latency", "p50")):
            times = [float(T0_MS + chance.randrange(7_200_000)) for _ in range(chance.randrange(6))]
            values = [chance.choice([chance.gauss(0, 1), math.nan, math.inf]) for _ in times]
            many.append(samples.series(times, values, name, {"line": line} if line else {}))
            expected += [(name, line, int(t), v) for t, v in zip(times, values, strict=True)]
        batches.append(samples.batch(*many, seq=seq))
    with platform.sink():
        for batch in batches:
            platform.send(topics.STATISTICS, batch, key=f"origin {batch.seq % 7}", flush=False)
        platform.flush()
        platform.wait("SELECT count() FROM statistics", len(expected))
    stored = platform.rows(
        "SELECT name, labels['line'], toUnixTimestamp64Milli(event_time), value FROM statistics"
    )
    assert sorted(map(repr, stored)) == sorted(map(repr, expected))
    assert platform.value(
        "SELECT uniqExact(_topic, _partition, _offset, _series, _index) FROM statistics"
    ) == len(expected)
    finite = [value for *_, value in expected if math.isfinite(value)]
    for unit, width_ms in WIDTHS_MS.items():
        [(samples_, nonfinite, total, least, most)] = platform.rows(
            "SELECT sum(samples), sum(nonfinite_samples), sum(sum_value), min(min_value), max(max_value) "
            f"FROM statistics_by_{unit}"
        )
        assert (samples_, samples_ + nonfinite) == (len(finite), len(expected))
        assert total == pytest.approx(math.fsum(finite))
        assert (least, most) == (min(finite), max(finite))
        stored = platform.rows(
            f"SELECT name, labels['line'], toUnixTimestamp64Milli(bucket_start), samples, nonfinite_samples "
            f"FROM statistics_by_{unit}"
        )
        assert sorted(stored) == counted_by(width_ms, expected)
    differing = """
        SELECT count() FROM statistics_by_hour AS hour FULL JOIN
        (
            SELECT name, labels, argMaxIf(value, (event_time, _offset, _series, _index), isFinite(value)) AS last,
                   toUnixTimestamp64Milli(event_time) - toUnixTimestamp64Milli(event_time) % 3600000 AS bucket,
                   countIf(isFinite(value)) AS finite
            FROM statistics GROUP BY name, labels, bucket
        ) AS plain ON hour.name = plain.name AND hour.labels = plain.labels
            AND toUnixTimestamp64Milli(hour.bucket_start) = plain.bucket
        WHERE finite > 0 AND last != last_value
    """
    assert platform.value(differing) == 0


def counted_by(
    width_ms: int, expected: list[tuple[str, str, int, float]]
) -> list[tuple[str, str, int, int, int]]:
    """Name, line, bucket, finite and other samples of each bucket of each series."""
    buckets = Counter(
        (name, line, at - at % width_ms, math.isfinite(value)) for name, line, at, value in expected
    )
    keys = {key[:3] for key in buckets}
    return sorted((*key, buckets[*key, True], buckets[*key, False]) for key in keys)


def test_times_before_1970_and_centuries_in_one_record_are_kept(platform: Platform):
    times = [float(year * 31_556_952_000 - 2_208_988_800_000) for year in range(0, 390, 13)]
    with platform.sink():
        platform.send(topics.STATISTICS, samples.batch(samples.series(times, times)))
        # So many partitions of the rollup may take several attempts; none of them doubles what an earlier one wrote.
        platform.wait("SELECT sum(samples) FROM statistics_by_day", 30)
    assert platform.value("SELECT countIf(toUnixTimestamp64Milli(event_time) = value) FROM statistics") == 30
    assert platform.value("SELECT sum(samples) FROM statistics_by_minute") == 30
    assert platform.value("SELECT min(bucket_start) FROM statistics_by_day").year == 1900


def test_statistics_with_impossible_times_or_unequal_arrays_are_dead_letters_among_good_ones(
    platform: Platform,
):
    good = samples.series([float(T0_MS)], [1.0])
    absurd = (math.nan, math.inf, -math.inf, 1e30, -1e15, 1.1e13)
    bad = [samples.batch(good, samples.series([time_ms], [1.0])) for time_ms in absurd]
    bad.append(samples.batch(samples.series([float(T0_MS)] * 2, [1.0])))
    with platform.sink():
        for number, value in enumerate(bad):
            platform.send(topics.STATISTICS, value, partition=0, flush=False)
            platform.send(
                topics.STATISTICS,
                samples.batch(samples.series([float(T0_MS)], [number])),
                partition=0,
                flush=False,
            )
        platform.flush()
        platform.wait("SELECT count() FROM statistics", len(bad))
        platform.wait("SELECT count() FROM dead_letters", len(bad))
    assert platform.rows("SELECT stage, count() FROM dead_letters GROUP BY stage") == [("validate", len(bad))]
    assert platform.value("SELECT sum(samples) FROM statistics_by_day") == len(bad)
    errors = " ".join(error for (error,) in platform.rows("SELECT error FROM dead_letters"))
    assert "nan" in errors
    assert "2 timestamps and 1 values" in errors


def test_poison_on_every_topic_is_a_dead_letter_and_stops_nothing(platform: Platform):
    poison = [b"", b"\x00", b"not avro at all", b"\x00\xff\xff\xff\xff\x00", bytes(range(255, 0, -1))]
    valid = {name: record for name, (record, _, _) in SINGLE_ROWS.items()} | {
        "statistics": samples.batch(samples.series([float(T0_MS)], [1.0]))
    }
    truncated = {name: platform.codec.encode(record)[:-1] for name, record in valid.items()}
    with platform.sink():
        for name in valid:
            topic = topics.by_name(name)
            other = platform.codec.encode(valid["actions" if name != "actions" else "models"])
            for value in (*poison[:-1], truncated[name], other, poison[-1]):
                platform.send(topic, value, partition=0, flush=False)
            platform.send(topic, valid[name], partition=0, flush=False)
        platform.flush()
        # Of each topic: the poison, a record cut short and one of another type; on dead-letters also a valid letter.
        platform.wait("SELECT count() FROM dead_letters", (len(poison) + 2) * len(valid) + 1)
        for _, table, _ in SINGLE_ROWS.values():
            if table != "dead_letters":
                platform.wait(f"SELECT count() FROM {table}", 1)
        platform.wait("SELECT count() FROM statistics", 1)
    kept = platform.rows("SELECT DISTINCT value FROM dead_letters WHERE value = 'not avro at all'")
    assert kept == [("not avro at all",)]
    logged = platform.rows(
        "SELECT sum(records), sum(rows), sum(dead_letters), min(first_offset), max(last_offset), min(delay_ms) >= 0, "
        "max(inserted_at) < now() + 1 FROM ingested_blocks WHERE table_name = 'events'"
    )
    assert logged == [(8, 1, 7, 0, 7, True, True)]


FIT_NO_ROW = [
    ("events", samples.event(event_time_ms=10**16)),
    ("kpis", samples.kpis(("k", {}, T0_MS, 1.0), ("k", {}, -(10**15), 1.0))),
    ("alerts", samples.alert("firing", started_at_ms=2**63 - 1)),
    ("agents", samples.agent(event_time_ms=-(2**63))),
    ("structured-statistics", samples.structured(histograms=[
        samples.records.Histogram(feature="f", kind=samples.records.HistogramKind.CONTINUOUS, edges=[1.0],
                                  categories=[], weights=[0.5, 0.5])])),
    ("predictions", samples.predictions(["a", "b"], scores=[0.5])),
    ("predictions", samples.predictions(["a"], scores=[0.5], features={"carrier": []})),
    ("predictions", samples.predictions(["a"], scores=[0.5], timestamps_ms=[10**16])),
    ("predictions", samples.predictions(["a"], scores=[0.5], kind="guess")),
    ("predictions", samples.predictions(["a"], scores=[0.5], sampled_share=0.0)),
    ("predictions", samples.predictions(["a"], scores=[0.5], kind="class")),
    ("logs", samples.log_lines("a", timestamps_ms=[])),
    ("logs", samples.log_lines("a", streams=["stdin"])),
    ("logs", samples.log_lines("a", first_line=0)),
    ("logs", samples.log_lines("a", timestamps_ms=[10**16])),
    ("runs", samples.run_transition("running", due_at_ms=10**16)),
    ("actuals", samples.actuals({"a": "1"}, timestamps_ms=[])),
    ("actuals", samples.actuals({"a": "1"}, timestamps_ms=[-(10**15)])),
]  # fmt: skip
"""Records by topic: of each, one value is no value of its column."""


def test_records_whose_values_fit_no_row_are_dead_letters(platform: Platform):
    sent: list[tuple[str, int]] = []
    with platform.sink():
        for name, record in FIT_NO_ROW:
            platform.send(topics.by_name(name), record, partition=0, flush=False)
            sent.append((name, sum(name == other for other, _ in sent)))
        platform.flush()
        platform.wait("SELECT count() FROM dead_letters", len(sent))
    letters = platform.rows("SELECT source_topic, source_offset, stage FROM dead_letters")
    prefix = platform.settings.kafka.topic_prefix
    assert sorted((topic.removeprefix(prefix), offset) for topic, offset, _ in letters) == sorted(sent)
    assert {stage for *_, stage in letters} == {"validate"}
    for name, _ in FIT_NO_ROW:
        assert platform.value(f"SELECT count() FROM {SINGLE_ROWS[name][1]}") == 0, name


def test_a_big_poison_record_is_kept_in_part_and_a_big_good_one_whole(platform: Platform):
    times = [float(T0_MS + number) for number in range(60_000)]
    with platform.sink():
        platform.send(topics.STATISTICS, b"x" * 1_000_000)
        platform.send(topics.STATISTICS, samples.batch(samples.series(times, times)))
        platform.wait("SELECT count() FROM statistics", 60_000)
        platform.wait(
            "SELECT length(value) FROM dead_letters UNION ALL SELECT 0 ORDER BY 1 DESC LIMIT 1",
            MAX_STORED_BYTES - len(b"app"),
        )
    assert platform.rows("SELECT size_bytes, is_cut FROM dead_letters") == [(1_000_003, True)]


def test_a_poison_record_with_a_huge_key_or_a_huge_reason_stops_nothing(platform: Platform):
    unequal = samples.series([float(T0_MS)] * 20_000, [1.0] * 19_999, "n" * 300_000)
    with platform.sink():
        platform.send(topics.EVENTS, b"x" * 799_000, key=b"k" * 200_000)
        platform.send(topics.STATISTICS, samples.batch(unequal))
        platform.send(topics.EVENTS, samples.event())
        platform.wait("SELECT count() FROM dead_letters", 2)
        platform.wait("SELECT count() FROM events", 1)


def test_a_tombstone_is_a_row_that_removes_an_mlapp(platform: Platform):
    with platform.sink():
        platform.send(topics.MLAPPS, samples.definition(), key="app")
        platform.wait("SELECT count() FROM mlapps_current", 1)
        platform.send(topics.MLAPPS, None, key="app")
        platform.send(topics.AGENTS, None, key="host-1")
        platform.send(topics.MLAPPS, None, key=b"\xff")
        platform.wait("SELECT count() FROM mlapps", 2)
        platform.wait("SELECT count() FROM agents WHERE is_deleted", 1)
        platform.wait("SELECT count() FROM dead_letters", 1)
    assert platform.value("SELECT count() FROM mlapps_current") == 0
    assert platform.value("SELECT count() FROM agents_current") == 0


def test_a_kpi_uploaded_again_is_a_revision_and_the_latest_holds(platform: Platform):
    with platform.sink():
        platform.send(
            topics.KPIS, samples.kpis(("k", {"a": "1", "b": "2"}, T0_MS, 1.0), ("k", {}, T0_MS, 5.0))
        )
        platform.send(
            topics.KPIS,
            samples.kpis(("k", {"b": "2", "a": "1"}, T0_MS, 2.0), ("k", {"b": "2", "a": "1"}, T0_MS, 3.0)),
        )
        platform.wait("SELECT count() FROM kpis", 4)
    assert platform.rows("SELECT labels, value, revisions FROM kpis_current ORDER BY value") == [
        ({"a": "1", "b": "2"}, 3.0, 3),
        ({}, 5.0, 1),
    ]


def test_a_decision_repeated_later_is_one_row_and_does_not_turn_back_the_state(platform: Platform):
    topic = topics.DEPLOYMENTS.full_name(platform.settings.kafka.topic_prefix)
    with platform.sink() as sink:
        for state in ("requested", "active", "requested"):
            platform.send(topics.DEPLOYMENTS, samples.deployment(state), key="app")
        wait_for(lambda: sink.metric("records_total", topic=topic) == 3)
    assert platform.rows("SELECT state FROM deployment_transitions ORDER BY _offset") == [
        ("requested",),
        ("active",),
    ]
    assert platform.value("SELECT state FROM deployments_current") == "active"


def test_too_many_dead_letters_in_a_row_stop_their_topic_before_they_are_committed_and_no_other(
    platform: Platform,
):
    name = topics.EVENTS.full_name(platform.settings.kafka.topic_prefix)
    for _ in range(30):
        platform.send(topics.EVENTS, b"poison", partition=0, flush=False)
    platform.send(topics.EVENTS, samples.event(), partition=0)
    with platform.sink(dead_letter_limit=DeadLetterLimit(max_run=20)) as sink:
        wait_for(lambda: "30 records one after another" in sink.stalls(), sink.stalls)
        assert f"topic {name} is not written" in sink.stalls()
        assert "no other topic is stopped" in sink.stalls()
        platform.send(topics.STATISTICS, samples.batch(samples.series([float(T0_MS)], [1.0])))
        platform.wait("SELECT count() FROM statistics", 1)
        wait_for(lambda: sink.metric("stopped_topics", topic=name) == 1)
        assert sink.metric("stopped_topics", topic=name.replace("events", "statistics")) == 0
        assert sink.metric("records_total", topic=name) == 0
    with platform.sink(dead_letter_limit=DeadLetterLimit(max_run=50)) as sink:
        platform.wait("SELECT count() FROM events", 1)
        platform.wait("SELECT count() FROM dead_letters", 30)
        assert not sink.stalls()


def test_a_topic_that_is_missing_keeps_no_other_from_being_read_and_is_read_when_it_appears(
    platform: Platform,
):
    name = topics.KPIS.full_name(platform.settings.kafka.topic_prefix)
    admin = AdminClient(client_config(platform.settings.kafka))
    admin.delete_topics([name])[name].result(DEADLINE_S)
    with platform.sink() as sink:
        platform.send(topics.STATISTICS, samples.batch(samples.series([float(T0_MS)], [1.0])))
        platform.wait("SELECT count() FROM statistics", 1)
        assert f"topic {name} is not written: " in sink.stalls()
        assert "mcenter topics create" in sink.stalls()
        wait_for(lambda: sink.metric("stopped_topics", topic=name) == 1)
        wait_for(lambda: create_topics(platform.settings) == [name])
        platform.send(topics.KPIS, samples.kpis(("k", {}, T0_MS, 1.0)))
        platform.wait("SELECT count() FROM kpis", 1)
        assert not sink.stalls()


def test_topics_or_migrations_that_are_missing_are_told(settings: Settings, platform: Platform):
    platform.client.execute(
        "ALTER TABLE schema_migrations DELETE WHERE version = 10 SETTINGS mutations_sync = 1"
    )
    with pytest.raises(NotReadyError, match="mcenter warehouse migrate"):
        wait_for_warehouse(settings, 5, threading.Event())
    assert issubclass(NotReadyError, SinkError)

"""Predictions of a component, through a real broker and a sink, to the rows that analysts read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.mlops._reporting.outcomes import is_sampled
from parallelm.schemas.topics import PREDICTIONS
from tests.producers.conftest import DEADLINE_S
from tests.producers.unused_port import address_of, unused_port

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.producers.conftest import ComponentOnPlatform

SECRET, CARD = "Ada Lovelace", "4929-1234-5678-9012"

REPORT = f"""
from parallelm.mlops import mlops
mlops.init()
ids = [f"order-{{number}}" for number in range(400)]
features = {{
    "customer": ["{SECRET}"] * 400,
    "card": ["{CARD}"] * 400,
    "country": ["DE" if number % 2 else "FR" for number in range(400)],
}}
mlops.predictions(ids, [0.75] * 400, features, outcome="late", kind="score", model="m-1", timestamp="2013-06-01T12:00+02:00")
mlops.actuals(ids[:100], [number % 2 == 0 for number in range(100)], outcome="late", timestamp="2013-06-05")
mlops.done()
print(mlops.dropped())
"""

REPORT_A_LOT = """
from parallelm.mlops import mlops
mlops.init()
mlops.predictions(range(120_000), [0.5] * 120_000, {"carrier": ["UA"] * 120_000}, outcome="late", kind="score")
mlops.done()
print(mlops.dropped())
"""

COLLECT = "from parallelm.mlops import mlops; mlops.init(); mlops.done(); print(mlops.dropped())"


def test_a_share_is_reported_and_what_is_left_out_or_hashed_is_nowhere_in_plain(
    platform: ComponentOnPlatform,
) -> None:
    dropped = platform.run(
        REPORT,
        MCENTER_COMPONENT_PREDICTIONS_SHARE="0.25",
        MCENTER_COMPONENT_PREDICTIONS_LEAVE_OUT="card",
        MCENTER_COMPONENT_PREDICTIONS_HASH="customer",
        MCENTER_COMPONENT_PREDICTIONS_HASH_KEY="pepper",
    )
    assert dropped.strip() == "{}"
    chosen = {f"order-{number}" for number in range(400) if is_sampled(f"order-{number}", 0.25)}
    assert 50 < len(chosen) < 150
    rows = platform.rows(
        "SELECT prediction_id, toUnixTimestamp(event_time), model_id, sampled_share, features FROM predictions",
        lambda found: len(found) >= len(chosen),
    )
    assert {row[0] for row in rows} == chosen
    assert {row[1:4] for row in rows} == {(1_370_080_800, "m-1", 0.25)}
    assert {frozenset(row[4]) for row in rows} == {frozenset({"customer", "country"})}
    hashes = {row[4]["customer"] for row in rows}
    assert len(hashes) == 1  # equal values stay equal
    assert len(hashes.pop()) == 16
    known = platform.rows(
        "SELECT prediction_id, actual_number FROM outcomes WHERE is_known",
        lambda found: len(found) == len([name for name in chosen if int(name[6:]) < 100]),
    )
    assert all(value == (int(name[6:]) % 2 == 0) for name, value in known)
    stored = platform.rows("SELECT count() FROM predictions WHERE toString(features) LIKE '%Ada%'", bool)
    assert stored == [(0,)]
    raw = _bytes_of_topic(platform.settings)
    assert b"country" in raw
    for plain in (SECRET, CARD, "card"):
        assert plain.encode() not in raw


def test_predictions_wait_on_disk_while_no_broker_answers(
    platform: ComponentOnPlatform, tmp_path: Path
) -> None:
    spool = {"MCENTER_COMPONENT_SPOOL_FOLDER": str(tmp_path / "spool")}
    with unused_port() as nobody:
        away = {
            "MCENTER_KAFKA_BOOTSTRAP_SERVERS": address_of(nobody),
            "MCENTER_COMPONENT_CLOSE_TIMEOUT_S": "2",
        }
        assert platform.run(REPORT, **spool, **away).strip() == "{}"
    assert platform.run(COLLECT, **spool).strip() == "{}"
    rows = platform.rows(
        "SELECT count(), countIf(is_known), uniqExact(prediction_id) FROM outcomes",
        lambda found: found[0][0] == 400 and found[0][1] == 100,
    )
    assert rows == [(400, 100, 400)]
    [(reported,)] = platform.rows("SELECT count() FROM predictions")
    assert reported == 400


def test_a_very_large_call_arrives_whole(platform: ComponentOnPlatform) -> None:
    assert platform.run(REPORT_A_LOT, timeout_s=2 * DEADLINE_S).strip() == "{}"
    rows = platform.rows(
        "SELECT count(), uniqExact(prediction_id) FROM predictions",
        lambda found: found[0][0] >= 120_000,
        timeout_s=2 * DEADLINE_S,
    )
    assert rows == [(120_000, 120_000)]


def _bytes_of_topic(settings: Settings) -> bytes:
    """Keys and values of all records of predictions."""
    name = PREDICTIONS.full_name(settings.kafka.topic_prefix)
    consumer = Consumer(client_config(settings.kafka, group_id=f"{name}-raw", enable_auto_commit=False))
    found = b""
    try:
        for partition in consumer.list_topics(name, timeout=DEADLINE_S).topics[name].partitions:
            place = TopicPartition(name, partition, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=DEADLINE_S)
            consumer.assign([place])
            position = 0
            while position < end:
                for message in consumer.consume(500, timeout=0.2):
                    assert message.error() is None, message.error()
                    found += (message.key() or b"") + (message.value() or b"")
                    position = message.offset() + 1
    finally:
        consumer.close()
    return found

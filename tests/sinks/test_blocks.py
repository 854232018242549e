"""Where blocks end, and that a crashed block is rebuilt from its intent exactly."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.sinks.backoff import Backoff
from parallelm.sinks.blocks import (
    ConsumedRecord,
    OffsetRange,
    block_length,
    content_hash,
    flush_interval_s,
    replay_length,
)
from parallelm.sinks.dead_letters import DeadLetterCounter, DeadLetterLimit
from parallelm.sinks.errors import DatabaseUnavailableError, SinkError
from parallelm.sinks.intent import (
    ONE_SERVER,
    Intent,
    Placement,
    done_metadata,
    intent_metadata,
    read_metadata,
)

sizes = st.integers(0, 40)


@st.composite
def logs(draw: st.DrawFn) -> list[ConsumedRecord]:
    """Records of a partition: offsets go up, with gaps."""
    offset = draw(st.integers(0, 2**40))
    records = []
    for size in draw(st.lists(sizes, max_size=30)):
        offset += draw(st.integers(1, 4))
        records.append(ConsumedRecord(offset, 0, None, bytes(size)))
    return records


def blocks_of(records: list[ConsumedRecord], max_bytes: int) -> list[list[ConsumedRecord]]:
    blocks = []
    while records:
        length = block_length(records, max_bytes)
        blocks.append(records[:length])
        records = records[length:]
    return blocks


@given(logs(), st.integers(1, 100))
def test_blocks_hold_every_record_once_in_order_within_the_bound(
    records: list[ConsumedRecord], max_bytes: int
):
    blocks = blocks_of(records, max_bytes)
    assert [record for block in blocks for record in block] == records
    for block in blocks:
        assert block
        assert len(block) == 1 or sum(record.size_bytes for record in block) <= max_bytes


@given(logs(), st.integers(1, 100))
def test_no_block_could_take_one_more(records: list[ConsumedRecord], max_bytes: int):
    blocks = blocks_of(records, max_bytes)
    for block, following in pairwise(blocks):
        assert sum(record.size_bytes for record in [*block, following[0]]) > max_bytes


@given(logs(), st.integers(1, 100), st.data())
def test_a_replayed_block_is_the_block_however_its_records_arrive(
    records: list[ConsumedRecord], max_bytes: int, data: st.DataObject
):
    blocks = blocks_of(records, max_bytes)
    if not blocks:
        return
    block = data.draw(st.sampled_from(blocks))
    again = [record for record in records if record.offset >= block[0].offset]
    last = block[-1].offset
    for arrived in range(len(again) + 1):
        length = replay_length(again[:arrived], last, end_offset=None)
        if arrived < len(block):
            assert length is None
        else:
            assert length == len(block)
            assert content_hash(again[:length]) == content_hash(block)


def test_a_replay_ends_at_the_end_of_the_log_when_its_last_record_is_gone():
    records = [ConsumedRecord(4, 0, None, b"a"), ConsumedRecord(6, 0, None, b"b")]
    assert replay_length(records, last=8, end_offset=None) is None
    assert replay_length(records, last=8, end_offset=8) is None
    assert replay_length(records, last=8, end_offset=9) == 2
    assert replay_length([], last=8, end_offset=20) == 0


@given(logs(), st.data())
def test_the_hash_tells_any_change(records: list[ConsumedRecord], data: st.DataObject):
    if not records:
        return
    at = data.draw(st.integers(0, len(records) - 1))
    record = records[at]
    changed = data.draw(
        st.sampled_from(
            [
                record._replace(offset=record.offset + 1),
                record._replace(value=(record.value or b"") + b"x"),
                record._replace(value=None),
                record._replace(key=b""),
                record._replace(key=record.value, value=b""),
                record._replace(ingested_at_ms=1),
            ]
        )
    )
    other = [*records[:at], changed, *records[at + 1 :]]
    assert (content_hash(other) == content_hash(records)) == (other == records)


@given(st.text(min_size=1, max_size=22), st.integers(0, 99), st.integers(0, 2**62), st.integers(0, 2**20))
def test_an_intent_is_read_as_it_was_written(topic_id: str, partition: int, first: int, length: int):
    offsets = OffsetRange(topic_id, partition, first, first + length)
    intent = Intent(
        topic_id,
        partition,
        offsets.first,
        offsets.last,
        offsets.token,
        "ab" * 12,
        placement=Placement("ä", partition),
    )
    found = read_metadata(intent_metadata(intent))
    assert found.intent == intent
    assert found.placement == intent.placement
    assert found.intent.offsets == offsets
    assert found.topic_id == topic_id
    assert len(intent_metadata(intent)) < 4096


def test_a_commit_without_intent_has_none():
    assert read_metadata(done_metadata("id", ONE_SERVER)).intent is None
    assert read_metadata(done_metadata("id", ONE_SERVER)).topic_id == "id"
    assert read_metadata(done_metadata("id", Placement("a", 3))).placement == Placement("a", 3)
    assert read_metadata("").intent is None
    assert read_metadata(None).topic_id == ""


@pytest.mark.parametrize(
    "metadata", ["x", "[]", '{"v": 2}', '{"v": 1, "topic_id": "a", "intent": {"x": 1}}', '{"v": 1}']
)
def test_metadata_of_another_version_is_refused(metadata: str):
    with pytest.raises(ValueError, match=r".+"):
        read_metadata(metadata)


def test_the_flush_interval_grows_with_the_partitions_of_one_table():
    assert flush_interval_s([], shortest_s=0.2, inserts_a_second=60) == 0.2
    assert flush_interval_s([12, 8], shortest_s=0.2, inserts_a_second=60) == 0.2
    assert flush_interval_s([120, 8], shortest_s=0.2, inserts_a_second=60) == 2.0


def test_waits_double_and_end_with_an_error():
    backoff = Backoff(limit_s=10, first_s=1, longest_s=3)
    away = DatabaseUnavailableError("away")
    now_s = 100.0
    for wait_s in (1, 2, 3, 3, 3):
        backoff.failed(now_s, away)
        assert backoff.waits(now_s + wait_s - 0.1)
        now_s += wait_s
        assert not backoff.waits(now_s)
    with pytest.raises(SinkError, match="gave up after 12 s: away"):
        backoff.failed(now_s, away)
    backoff.succeeded()
    backoff.failed(now_s, away)


class TestDeadLetterLimit:
    def test_a_run_beyond_the_limit_is_an_error(self):
        counter = DeadLetterCounter(DeadLetterLimit(max_run=5))
        counter.add(4, [1, 2, 3])
        counter.add(2, [0, 1])
        assert "6 records one after another" in counter.why_too_many(3, [0, 2])
        assert not counter.why_too_many(3, [1, 2])

    def test_a_good_record_ends_a_run(self):
        counter = DeadLetterCounter(DeadLetterLimit(max_run=5))
        for _ in range(10):
            assert not counter.why_too_many(2, [1])
            counter.add(2, [1])
            counter.add(2, [])

    def test_bad_records_among_good_ones_are_no_run_however_many_one_block_holds(self):
        counter = DeadLetterCounter(DeadLetterLimit(max_run=5))
        assert not counter.why_too_many(10_000, range(0, 10_000, 3))

    @given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), max_size=8))
    def test_runs_are_counted_across_blocks_as_if_they_were_one(self, blocks: list[list[bool]]):
        whole = "".join("x" if bad else " " for block in blocks for bad in block)
        longest = max(map(len, whole.split()), default=0)
        counter = DeadLetterCounter(DeadLetterLimit(max_run=3, max_ratio=1.0))
        found = []
        for block in blocks:
            bad = [position for position, is_bad in enumerate(block) if is_bad]
            found.append(counter.why_too_many(len(block), bad))
            counter.add(len(block), bad)
        assert any(found) == (longest > 3)

    def test_a_share_beyond_the_limit_is_an_error_once_there_are_enough_records(self):
        counter = DeadLetterCounter(DeadLetterLimit(max_ratio=0.1, window=100, max_run=1000))
        counter.add(50, range(40))
        assert not counter.why_too_many(50, [])
        assert "41 of the last 100 records" in counter.why_too_many(50, [7])
        counter.reset()
        assert not counter.why_too_many(50, [7])

    def test_old_records_are_forgotten(self):
        counter = DeadLetterCounter(DeadLetterLimit(max_ratio=0.3, window=100, max_run=1000))
        counter.add(50, range(14))
        for _ in range(4):
            assert not counter.why_too_many(50, range(14))
            counter.add(50, range(14))
            counter.add(50, [])

"""A key's partition is the one that every client of Kafka gives it."""

from __future__ import annotations

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.partitioning import partition_of


@given(st.binary(max_size=64), st.integers(1, 50))
def test_a_key_goes_where_other_clients_send_it(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions

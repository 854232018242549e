"""What is stored of a record that cannot be handled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.codec import Codec
from parallelm.schemas.dead_letters import MAX_STORED_BYTES, make_dead_letter
from parallelm.schemas.registry import PackagedRegistry

if TYPE_CHECKING:
    from parallelm.schemas.records import DeadLetter

BROKER_TAKES_BYTES = 1_000_000


def letter(key: bytes | None, value: bytes | None, error: str = "wrong") -> DeadLetter:
    return make_dead_letter(
        ValueError(error),
        "decode",
        topic="t" * 249,
        topic_id="i" * 22,
        partition=1,
        offset=2**62,
        key=key,
        value=value,
        consumer_group="group",
    )


@pytest.mark.parametrize("key_bytes", [None, 0, 99_000, 1_048_576])
@pytest.mark.parametrize("value_bytes", [None, 0, 901_000, 1_048_576])
@pytest.mark.parametrize("error", ["wrong", "€" * 300_000])
def test_a_letter_fits_into_a_record_whatever_the_record_was(
    key_bytes: int | None, value_bytes: int | None, error: str
):
    key = None if key_bytes is None else b"k" * key_bytes
    value = None if value_bytes is None else b"v" * value_bytes
    made = letter(key, value, error)
    assert len(Codec(PackagedRegistry()).encode(made)) < BROKER_TAKES_BYTES
    whole = (key_bytes or 0) + (value_bytes or 0) <= MAX_STORED_BYTES
    assert ((made.key, made.value) == (key, value)) is whole
    assert made.is_cut is not whole
    assert made.size_bytes == (key_bytes or 0) + (value_bytes or 0)
    assert made.error == error[:5_000]
    assert (made.key is None, made.value is None) == (key is None, value is None)

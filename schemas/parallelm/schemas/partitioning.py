"""Which partition a key goes to: murmur2, as Kafka's Java clients and all producers of the platform have it.

For who reads one partition of a topic, such as an agent its own commands.
"""

from __future__ import annotations

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_32_BITS: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key on a topic with so many partitions."""
    return (_murmur2(key) & _POSITIVE) % partitions


def _murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 (32 bits) with Kafka's seed."""
    hashed = _SEED ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _M & _32_BITS
        word = (word ^ word >> 24) * _M & _32_BITS
        hashed = hashed * _M & _32_BITS ^ word
    if rest := data[whole:]:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * _M & _32_BITS
    hashed = (hashed ^ hashed >> 13) * _M & _32_BITS
    return hashed ^ hashed >> 15

"""Column ``series_id`` of ``statistics``: ClickHouse's ``cityHash64`` of what a series is. Pure functions.

The sink computes it once a series, where the column's default would compute it for each row.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import TYPE_CHECKING

from clickhouse_cityhash.cityhash import CityHash64

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WORD = (1 << 64) - 1


@lru_cache(maxsize=16_384)
def series_id(texts: Sequence[bytes], labels: Sequence[tuple[bytes, bytes]]) -> int:
    """``cityHash64(mlapp_id, name, node_id, model_id, agent_id, labels)``; ``labels`` in the order of their column."""
    pairs = [_combined(map(CityHash64, pair)) for pair in labels]
    return _combined([*map(CityHash64, texts), _hash_of_count(len(pairs)), *pairs])


def _combined(hashes: Iterable[int]) -> int:
    return reduce(_combine, hashes)


def _combine(low: int, high: int) -> int:
    """CityHash's ``Hash128to64``."""
    factor = 0x9DDFEA08EB382D69
    first = ((low ^ high) * factor) & _WORD
    first ^= first >> 47
    second = ((high ^ first) * factor) & _WORD
    second ^= second >> 47
    return (second * factor) & _WORD


def _hash_of_count(count: int) -> int:
    """ClickHouse's ``intHash64``: how it hashes the length of an array."""
    number = count ^ 0x4CF2D2BAAE6DA887
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        number = ((number ^ number >> 33) * factor) & _WORD
    return number ^ number >> 33

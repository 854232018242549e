"""What of a chart's series a browser has already: whole series, and of long ones the pieces in which their data came."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final

from parallelm.server.charts.packing import compact

_FEW: Final = 32
"""Shorter data are one piece with their series."""
_ITEMS: Final = 16
_PIECES: Final = 100
"""About so many a chart: their digests stand in an address."""
_LONGEST: Final = 4
"""Times the usual length of a piece."""

Answer = list[dict[str, Any] | None]
Pieces = list[list[int | list[Any]] | None]
"""Of each series: numbers of pieces that the browser has, and ``[digest, items]`` with the number of items for new ones."""


def without_known(
    series: Sequence[Mapping[str, Any]], known: Sequence[str], *, in_pieces: bool
) -> tuple[Answer, list[str], Pieces]:
    """Series without what the browser has, their digests, and of which pieces the data of each consist.

    ``known``: by place the digest of a series, and after a ``*`` each those of its pieces.
    """
    items = sum(len(each.get("data", ())) for each in series) if in_pieces else 0
    length = _piece_length(items)
    left, digests, pieces = Answer(), list[str](), Pieces()
    for each, had in zip(series, chain(known, repeat("")), strict=False):
        digest, _, had_pieces = had.partition("*")
        digests.append(_digest(each))
        if digests[-1] == digest:
            left.append(None)
            pieces.append(None)
        elif in_pieces and len(each.get("data", ())) > _FEW:
            new, consists = _new_items(each["data"], had_pieces.split("*"), length)
            left.append({**each, "data": new})
            pieces.append(consists)
        else:
            left.append(dict(each))
            pieces.append(None)
    return left, digests, pieces


def _new_items(
    data: Sequence[Any], known: Sequence[str], length: int
) -> tuple[list[Any], list[int | list[Any]]]:
    places = {digest: number for number, digest in enumerate(known)}
    new, consists = list[Any](), list[int | list[Any]]()
    for digest, items in _cut(data, length):
        if digest in places:
            consists.append(places[digest])
        else:
            consists.append([digest, len(items)])
            new += items
    return new, consists


def _cut(data: Sequence[Any], length: int) -> Iterator[tuple[str, list[Any]]]:
    """Pieces with their digests. A piece ends after an item that says so itself: what comes and goes elsewhere moves no cut."""
    begun, digest = list[Any](), hashlib.blake2b(digest_size=6)
    for item in data:
        own = hashlib.blake2b(compact(item).encode(), digest_size=8).digest()
        begun.append(item)
        digest.update(own)
        if int.from_bytes(own) % length == 0 or len(begun) == _LONGEST * length:
            yield _text(digest.digest()), begun
            begun, digest = [], hashlib.blake2b(digest_size=6)
    if begun:
        yield _text(digest.digest()), begun


def _piece_length(items: int) -> int:
    """A power of two: as data grow, a few cuts go and none comes."""
    length = _ITEMS
    while length * _PIECES < items:
        length *= 2
    return length


def _digest(series: Mapping[str, Any]) -> str:
    return _text(hashlib.blake2b(compact(series).encode(), digest_size=6).digest())


def _text(digest: bytes) -> str:
    """For an address, where ``.`` and ``*`` separate digests."""
    return base64.urlsafe_b64encode(digest).decode()

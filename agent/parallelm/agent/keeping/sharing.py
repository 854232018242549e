"""Puts what keepers touch on few pages of memory, so that they share the others with what they are forked from.

Python counts references in the objects themselves: an object that is only looked at has its page of 4 kB copied. Objects of
one module lie wherever there was a hole, over megabytes. So what only processes aside need is imported first, then all
holes are filled, and what keepers run is imported last: it lies together.
"""

from __future__ import annotations

import gc
import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEEDED_ASIDE = ("parallelm.agent.keeping.beginning", "shutil")
_POOL_BYTES, _POOL_HEADER_BYTES = 16_384, 48
_SMALL_BYTES = 512
"""Up to which Python takes objects from pools of one size each; larger ones come from the C library."""
_MOST_OF_A_SIZE = 4000
_LARGEST_BYTES, _LARGE_OF_A_SIZE = 4096, 1
_FILLING: list[bytes] = []


def import_apart() -> None:
    """Import what only processes aside need; call it before anything that keepers run is imported."""
    gc.disable()
    for name in _NEEDED_ASIDE:
        importlib.import_module(name)
    fill_holes()


def lie_together(functions: Iterable[Any]) -> None:
    """Copy their code to one place, after ``fill_holes``; call it before they have run often."""
    for function in functions:
        function.__code__ = function.__code__.replace(co_name=function.__code__.co_name)


def fill_holes() -> None:
    """Take the free places between objects for good, so that the next objects lie together."""
    gc.collect()
    for size in range(_POOL_HEADER_BYTES, _SMALL_BYTES + 1, 16):
        for _ in range(_MOST_OF_A_SIZE):
            filling = b"-" * (size - sys.getsizeof(b""))
            _FILLING.append(filling)
            if id(filling) % _POOL_BYTES == _POOL_HEADER_BYTES:
                break  # the first of a new pool
    for size in range(_LARGEST_BYTES, _SMALL_BYTES, -16):
        _FILLING.extend(b"-" * (size - number) for number in range(_LARGE_OF_A_SIZE))

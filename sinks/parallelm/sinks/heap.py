"""How C's allocator keeps what a sink frees."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def share_arenas() -> None:
    """Let threads share two heaps; for a process of its own, before it starts any.

    glibc gives each thread one, up to eight a core, and each keeps what was freed in it: of blocks of many megabytes, which
    Kafka's, the decoding and the inserting threads allocate in turn, some 30 MB. Other C libraries have no such setting.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _ARENAS)

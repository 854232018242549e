"""On the PYTHONPATH of an agent: its wall clock is wrong by the seconds in file ``SKEWED_CLOCK``, as that of a host may be.

The file may change at any moment: then the clock jumps, as when somebody sets it. Only the time of day does: a wrong clock does
not change how fast time passes (``CLOCK_MONOTONIC``, ``CLOCK_BOOTTIME``).
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

_clock = os.environ.get("SKEWED_CLOCK")
if _clock:
    with Path(_clock).open("rb") as _file:
        _mapped = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)
    _time, _time_ns = time.time, time.time_ns

    def _by_s() -> int:
        by_s: int = struct.unpack("q", _mapped[:8])[0]
        return by_s

    time.time = lambda: _time() + _by_s()
    time.time_ns = lambda: _time_ns() + _by_s() * 1_000_000_000

"""On the PYTHONPATH of an agent: its wall clock is wrong by ``SKEWED_BY_S`` seconds, as that of a host may be.

Only the time of day: a wrong clock does not change how fast time passes (``CLOCK_MONOTONIC``, ``CLOCK_BOOTTIME``).
"""

from __future__ import annotations

import os
import time

_by_s = int(os.environ.get("SKEWED_BY_S", "0"))
if _by_s:
    _time, _time_ns = time.time, time.time_ns
    time.time = lambda: _time() + _by_s
    time.time_ns = lambda: _time_ns() + _by_s * 1_000_000_000

"""Deployment windows: when a policy may deploy, by the broker's clock in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.stream_processors.model_policy.settings import Window


def opens_ms(windows: Sequence[Window], now_ms: int) -> int:
    """When the next window opens; ``now_ms`` when one is open, or when there are none."""
    if not windows:
        return now_ms
    return min(_opens(window, now_ms) for window in windows)


def _opens(window: Window, now_ms: int) -> int:
    # The beginning that is at most one duration ago, or else the next.
    start = datetime.fromtimestamp((now_ms - window.duration_ms) / 1000, UTC)
    begins = next(CronSim(window.cron, start - timedelta(milliseconds=1)))
    begins_ms = round(begins.timestamp() * 1000)
    if begins_ms + window.duration_ms <= now_ms:  # it ends this very moment
        begins_ms = round(next(CronSim(window.cron, begins)).timestamp() * 1000)
    return max(now_ms, begins_ms)

"""A platform and a receiver for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stream_processors.notifications.platform import Platform
from tests.stream_processors.notifications.receivers import http_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.stream_processors.notifications.receivers import HttpReceiver


@pytest.fixture
def platform(topics: Settings, tmp_path: Path) -> Iterator[Platform]:
    made = Platform(topics, tmp_path)
    yield made
    made.cluster.close()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running

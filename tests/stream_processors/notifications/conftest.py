"""A platform and a receiver for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.topic_admin import create_topics
from tests.stream_processors.notifications.platform import Platform
from tests.stream_processors.notifications.receivers import http_receiver
from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.stream_processors.notifications.receivers import HttpReceiver


@pytest.fixture
def platform(settings: Settings, tmp_path: Path) -> Iterator[Platform]:
    create_topics(settings, timeout_s=DEADLINE_S)
    made = Platform(settings, tmp_path)
    yield made
    made.cluster.close()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running

"""Topics and a worker for each test that wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.topic_admin import create_topics

from .live import Cluster, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings


@pytest.fixture
def cluster(settings: Settings) -> Cluster:
    create_topics(settings)
    return Cluster(settings)


@pytest.fixture
def worker(cluster: Cluster, tmp_path: Path) -> Iterator[Worker]:
    with Worker(cluster.settings, tmp_path) as running:
        yield running

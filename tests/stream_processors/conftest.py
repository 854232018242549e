"""One worker for each test file, on topics of its own; an MLApp for each test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.topic_admin import create_topics
from parallelm.stream_processors.series_stage import handler
from tests.conftest import settings_of_a_test
from tests.waiting import DEADLINE_S

from .live import Cluster, Worker
from .stages import Stages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce


@pytest.fixture(scope="module")
def shared_cluster(stack: Settings, made_once: MadeOnce) -> Iterator[Cluster]:
    with made_once.lent(stack, tables=False) as settings:
        cluster = Cluster(settings)
        yield cluster
        cluster.close()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    shared_cluster.mlapp = f"app-{uuid.uuid4().hex[:8]}"
    return shared_cluster


@pytest.fixture(scope="module")
def worker(shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(shared_cluster.settings, tmp_path_factory.mktemp("worker")) as running:
        yield running


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    """Both stages without Kafka; rules that have changed are known at once."""
    monkeypatch.setattr(handler, "REFRESH_INTERVAL_S", -1.0)
    return Stages()


@pytest.fixture
def own(stack: Settings, tmp_path: Path) -> Iterator[Cluster]:
    """Topics that a test may spoil."""
    with settings_of_a_test(stack, tmp_path) as settings:
        create_topics(settings, timeout_s=DEADLINE_S)
        cluster = Cluster(settings)
        yield cluster
        cluster.close()

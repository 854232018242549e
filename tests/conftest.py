"""One real Kafka broker and one real ClickHouse engine for the whole session; fresh topics and database for each test."""

from __future__ import annotations

import dataclasses
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running broker and engine; ``MCENTER_TEST_CONFIG`` names the mcenter.toml of one to use instead."""
    running = os.environ.get("MCENTER_TEST_CONFIG")
    if running:
        yield load_settings({}, file=Path(running))
        return
    from parallelm.mcenter.local_stack import LocalStack

    with LocalStack(tmp_path_factory.mktemp("stack"), services=("kafka", "clickhouse")) as local:
        yield local.settings


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Settings:
    """Settings with a topic prefix, a database and an artifact folder of this test's own. Topics and tables are not made."""
    name = f"t{uuid.uuid4().hex[:10]}"
    return dataclasses.replace(
        stack,
        kafka=dataclasses.replace(stack.kafka, topic_prefix=f"{name}."),
        clickhouse=dataclasses.replace(stack.clickhouse, database=name),
        artifacts=dataclasses.replace(stack.artifacts, url=(tmp_path / "artifacts").as_uri()),
        component=dataclasses.replace(stack.component, outbox_folder=str(tmp_path / "outbox")),
    )

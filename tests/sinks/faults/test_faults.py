"""Sinks under faults: whatever happens, each acknowledged record is in every table once.

Some rounds here; ``make faults`` asks for a hundred. Between rounds nothing is reset: what a zombie would write late
shows in a later round.
"""

from __future__ import annotations

import dataclasses
import os
import random
import sys
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import ClickHouseSettings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse import migrate
from tests.mcenter.engine.conftest import PASSWORD, running_engine
from tests.waiting import DEADLINE_S

from .fleet import Fleet
from .load import RULE, Load, Tables
from .run import Run, faults_of
from .small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "4"))
SEED = int(os.environ.get("FAULT_SEED", "7"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    server, disk = tmp_path / "server", tmp_path / "disk"
    server.mkdir()
    with (
        LocalStack(tmp_path / "stack", services=("kafka",)) as stack,
        small_disk(disk, "512m") as is_mounted,
    ):
        (disk / "data").mkdir()
        (server / "data").symlink_to(disk / "data", target_is_directory=True)
        with running_engine(server) as engine:
            settings = dataclasses.replace(
                stack.settings,
                clickhouse=ClickHouseSettings(
                    port=engine.port, http_port=engine.http_port, user="default", password=PASSWORD
                ),
            )
            create_topics(settings, timeout_s=DEADLINE_S)
            migrate(settings)
            with clickhouse_client(settings.clickhouse) as client:
                client.execute(RULE)
            tables = Tables(settings)
            with Fleet(settings, tmp_path) as fleet:
                load = Load(settings, random.Random(SEED))
                yield Run(SEED, settings, stack, engine, disk if is_mounted else None, fleet, load, tables)
            tables.close()


def test_whatever_happens_each_acknowledged_record_is_in_every_table_once(run: Run):
    run.start()
    try:
        for fault in faults_of(run, ROUNDS):
            run.round(fault)
    finally:
        sys.stdout.write(run.report())

"""Sinks under faults: whatever happens, each acknowledged record is in every table once.

Eight rounds here, each of another kind; with this seed the third kills a sink, the server and the broker at once. ``make faults`` asks for
a hundred. Between rounds nothing is reset: what a zombie would write late shows in a later round.
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
    from collections.abc import Callable, Iterator

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "8"))
SEED = int(os.environ.get("FAULT_SEED", "7"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("faults")
    server, disk = folder / "server", folder / "disk"
    server.mkdir()
    with (
        LocalStack(folder / "stack", services=("kafka",)) as stack,
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
            with Fleet(settings, folder) as fleet:
                load = Load(settings, random.Random(SEED))
                run = Run(SEED, settings, stack, engine, disk if is_mounted else None, fleet, load, tables)
                run.start()
                yield run
                sys.stdout.write(run.report())
            tables.close()


@pytest.fixture(scope="module")
def faults(run: Run) -> Iterator[Callable[[], None]]:
    return faults_of(run, ROUNDS)


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_after_each_fault_each_acknowledged_record_is_in_every_table_once(
    run: Run, faults: Iterator[Callable[[], None]], number: int
):
    assert run.rounds == number - 1, "a round before was not exact"
    run.round(next(faults))

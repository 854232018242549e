"""Hosts, the control plane and the broker are killed, paused, cut off, full and wrong about the time, while runs are due.

Three rounds in ``make test-all``; ``make faults`` asks for fifty, with a broker of its own. After each, what is due runs; whatever happened,
each run that was due has run once or is told as missed, and none runs twice or in two places at once.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from tests.stream_processors.faults.fleet import Fleet
from tests.stream_processors.live import Cluster
from tests.waiting import DEADLINE_S

from .host import Host
from .kinds import faults_of
from .load import Load, Observed
from .run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
IS_SHORT = ROUNDS <= 3
pytestmark = [pytest.mark.long] if IS_SHORT else []


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Settings, LocalStack | None]]:
    """The session's for a short run, else one that may be killed."""
    if IS_SHORT:
        yield request.getfixturevalue("settings"), None
        return
    with LocalStack(tmp_path / "stack", services=("kafka",)) as stack:
        kafka = dataclasses.replace(stack.settings.kafka, topic_prefix="faults.")
        yield dataclasses.replace(stack.settings, kafka=kafka), stack


@pytest.fixture
def run(broker: tuple[Settings, LocalStack | None], tmp_path: Path) -> Iterator[Run]:
    settings, stack = broker
    create_topics(settings, timeout_s=DEADLINE_S)
    cluster = Cluster(settings)
    mlapps = ("flights",) if IS_SHORT else ("flights", "trains", "ships")
    load = Load(cluster, tmp_path, mlapps)
    observed = Observed(load)
    with ExitStack() as open_hosts, Fleet(settings, tmp_path) as fleet:
        hosts = []
        for name in ("host-a", "host-b") if IS_SHORT else ("host-a", "host-b", "host-c"):
            hosts.append(Host(settings, tmp_path / name, name))
            open_hosts.callback(hosts[-1].close)
        yield Run(SEED, stack, fleet, hosts, load, observed)
    observed.close()
    cluster.close()


def test_whatever_happens_no_run_is_lost_doubled_or_in_two_places(run: Run):
    run.start()
    for fault in faults_of(run, ROUNDS):
        run.round(fault)
    sys.stdout.write(run.report())
    run.check()

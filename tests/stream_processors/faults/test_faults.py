"""Faults under load: workers that are killed, paused, restarted, that join and leave, a notifier and a broker that are killed.

A few rounds here; ``make faults`` asks for a hundred. A third of them are pauses past the session time-out. At the end
every alert and deployment has gone its way exactly once, and in order, and people were told of it.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from tests.stream_processors.live import Cluster
from tests.stream_processors.notifications.receivers import http_receiver
from tests.waiting import DEADLINE_S

from .fleet import Fleet
from .load import Load, Observed
from .notified import FleetNotifier
from .run import Run, faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "4"))
SEED = int(os.environ.get("FAULT_SEED", "7"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with LocalStack(tmp_path / "stack", services=("kafka",)) as stack, http_receiver() as receiver:
        kafka = dataclasses.replace(stack.settings.kafka, topic_prefix="faults.")
        settings = dataclasses.replace(stack.settings, kafka=kafka)
        create_topics(settings, timeout_s=DEADLINE_S)
        cluster = Cluster(settings)
        observed = Observed(cluster)
        notifier = FleetNotifier(settings, tmp_path / "notifier", receiver.port)
        with Fleet(settings, tmp_path) as fleet, notifier.gone_at_the_end():
            yield Run(SEED, stack, fleet, Load(cluster, observed), observed, notifier, receiver)
        observed.close()
        cluster.close()


def test_whatever_happens_no_transition_is_missed_doubled_or_out_of_order_and_everybody_is_told(run: Run):
    run.start()
    for fault in faults_of(run, ROUNDS):
        run.work(run.chance.uniform(0.1, 0.5))
        fault()
        run.rounds += 1
    run.poison()
    run.cold_start()
    sys.stdout.write(run.report())
    run.check()
    sys.stdout.write(run.report())

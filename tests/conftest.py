"""One real Kafka broker and one real ClickHouse engine for each worker of the session; fresh topics and database for each test."""

from __future__ import annotations

import dataclasses
import os
import signal
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from parallelm.connections import Settings, load_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 120

# A suite that a script runs in its background inherits that Ctrl-C is ignored, and would hand it down to the programs it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis's limits on seconds (0.2 an example, one for ten inputs) would fail tests of a machine that has other things to do.
_PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
# `make test` gives every run the same examples; `make fuzz` is where chance belongs. Neither replays earlier failures:
# what a run does follows from the code, and from the seed that `make fuzz` prints.
hypothesis_settings.register_profile("same", _PATIENT, derandomize=True, database=None)
hypothesis_settings.register_profile("fuzz", _PATIENT, derandomize=False, database=None, max_examples=1000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "same")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running broker and engine; ``MCENTER_TEST_CONFIG`` names the mcenter.toml of one to use instead."""
    running = os.environ.get("MCENTER_TEST_CONFIG")
    if running:
        yield load_settings({}, file=Path(running), role="admin")
        return
    from parallelm.mcenter.local_stack import LocalStack

    with LocalStack(tmp_path_factory.mktemp("stack"), services=("kafka", "clickhouse")) as local:
        yield local.admin_settings


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of this test's own."""
    with settings_of_a_test(stack, tmp_path) as own:
        yield own


@contextmanager
def settings_of_a_test(stack: Settings, folder: Path) -> Iterator[Settings]:
    """Settings with a topic prefix, a database and an artifact folder of this test's own. Topics and tables are not made.

    What the test has made of them is deleted after it: one small broker holds some thousand partitions, not all tests'.
    """
    name = f"t{uuid.uuid4().hex[:10]}"
    own = dataclasses.replace(
        stack,
        kafka=dataclasses.replace(stack.kafka, topic_prefix=f"{name}."),
        clickhouse=dataclasses.replace(stack.clickhouse, database=name),
        artifacts=dataclasses.replace(stack.artifacts, url=(folder / "artifacts").as_uri()),
        component=dataclasses.replace(stack.component, outbox_folder=str(folder / "outbox")),
    )
    yield own
    _delete_topics(own)
    with clickhouse_client(own.clickhouse, database="default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {name}")


def _delete_topics(settings: Settings) -> None:
    admin = AdminClient(client_config(settings.kafka))
    prefix = settings.kafka.topic_prefix
    names = [name for name in admin.list_topics(timeout=DEADLINE_S).topics if name.startswith(prefix)]
    for future in admin.delete_topics(names).values() if names else ():
        try:
            future.result(DEADLINE_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # the test has deleted it itself
                raise

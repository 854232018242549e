"""A broker with TLS, SCRAM and access control lists, and a user for each role."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, NamedTuple

import pytest

from parallelm.connections import ServerSettings, Settings, save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.operations.access import ROLES, grant
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse import migrate
from tests.secured_kafka import secured_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.secured_kafka import SecuredKafka


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("secured")) as kafka:
        kafka.make_users(*ROLES, "stranger")
        yield kafka


class Secured(NamedTuple):
    """A platform on that broker, with a topic prefix and a database of its own; every role has its user."""

    broker: SecuredKafka
    superuser: Settings
    folder: Path

    def settings(self, user: str, mechanism: str = "SCRAM-SHA-512") -> Settings:
        kafka = self.broker.user(user, mechanism)
        return self.with_kafka(kafka)

    def with_kafka(self, kafka: object) -> Settings:
        prefix = self.superuser.kafka.topic_prefix
        return dataclasses.replace(self.superuser, kafka=dataclasses.replace(kafka, topic_prefix=prefix))  # type: ignore[type-var]

    def run(
        self, user: str, *arguments: str, exit_code: int = 0, server: ServerSettings | None = None
    ) -> str:
        """Run ``python ARGUMENTS`` as a user, and return all that it writes."""
        config = self.folder / f"{user}.toml"
        settings = self.settings(user)
        save_settings(dataclasses.replace(settings, server=server or settings.server), config)
        environ = dict(os.environ) | {
            "MCENTER_CONFIG": str(config),
            "PM_MLOPS_MODE": "agent",
            "PM_WORKFLOW_INSTANCE_ID": "app",
            "PM_WORKFLOW_NODE_ID": "predict",
        }
        done = subprocess.run(
            (sys.executable, *arguments),
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def mcenter(
        self, user: str, *arguments: str, exit_code: int = 0, server: ServerSettings | None = None
    ) -> str:
        return self.run(user, "-m", "parallelm.mcenter", *arguments, exit_code=exit_code, server=server)


@pytest.fixture
def bare(broker: SecuredKafka, stack: Settings, tmp_path: Path) -> Iterator[Secured]:
    """Without topics and tables; roles are granted."""
    name = f"s{uuid.uuid4().hex[:10]}"
    superuser = dataclasses.replace(
        stack,
        kafka=dataclasses.replace(broker.superuser, topic_prefix=f"{name}."),
        clickhouse=dataclasses.replace(stack.clickhouse, database=name),
        artifacts=dataclasses.replace(stack.artifacts, url=(tmp_path / "artifacts").as_uri()),
        component=dataclasses.replace(stack.component, outbox_folder=str(tmp_path / "outbox")),
    )
    for role in ROLES.values():
        grant(superuser, role, f"User:{role.name}")
    yield Secured(broker, superuser, tmp_path)
    with clickhouse_client(stack.clickhouse, database="default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def secured(bare: Secured) -> Secured:
    create_topics(bare.settings("admin"))
    migrate(bare.superuser)
    return bare

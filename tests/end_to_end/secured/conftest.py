"""A broker with TLS, SCRAM and access control lists, and a user for each role."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from click.testing import CliRunner

from parallelm.connections import ServerSettings, Settings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.operations.access import ROLES, grant
from tests.made_once import MadeOnce
from tests.secured_kafka import secured_kafka
from tests.waiting import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.secured_kafka import SecuredKafka


@pytest.fixture(scope="package")
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

    def run(self, user: str, *arguments: str) -> None:
        """Run ``python ARGUMENTS`` as a user."""
        environ = dict(os.environ) | {
            "MCENTER_CONFIG": str(self._config_of(user)),
            "PM_MLOPS_MODE": "agent",
            "PM_WORKFLOW_INSTANCE_ID": "app",
            "PM_WORKFLOW_NODE_ID": "predict",
            **PATIENT,
        }
        done = subprocess.run(
            (sys.executable, *arguments),
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def mcenter(
        self, user: str, *arguments: str, exit_code: int = 0, server: ServerSettings | None = None
    ) -> str:
        """Run ``mcenter`` as a user, and return all that it writes."""
        config = str(self._config_of(user, server))
        done = CliRunner(env={"MCENTER_CONFIG": config}).invoke(cli, arguments)
        said = f"{done.output}{done.exception or ''}"
        assert done.exit_code == exit_code, said
        return said

    def _config_of(self, user: str, server: ServerSettings | None = None) -> Path:
        config = self.folder / f"{user}.toml"
        settings = self.settings(user)
        save_settings(dataclasses.replace(settings, server=server or settings.server), config)
        return config


@pytest.fixture(scope="package")
def superuser(broker: SecuredKafka, stack: Settings) -> Settings:
    return dataclasses.replace(stack, kafka=broker.superuser)


@pytest.fixture(scope="package")
def made_once_secured(superuser: Settings) -> Iterator[MadeOnce]:
    """What tests hand on to the next, on this broker."""
    made = MadeOnce()
    yield made
    made.close(superuser)


@pytest.fixture
def secured(
    broker: SecuredKafka, superuser: Settings, made_once_secured: MadeOnce, tmp_path: Path
) -> Iterator[Secured]:
    with made_once_secured.lent(superuser) as lent:
        own = dataclasses.replace(
            lent,
            artifacts=dataclasses.replace(lent.artifacts, url=(tmp_path / "artifacts").as_uri()),
            component=dataclasses.replace(lent.component, outbox_folder=str(tmp_path / "outbox")),
        )
        for role in ROLES.values():
            grant(own, role, f"User:{role.name}")
        yield Secured(broker, own, tmp_path)

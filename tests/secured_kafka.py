"""A real broker with TLS, SCRAM users, client certificates and the standard authorizer, beside the plain one of the session."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from parallelm.connections import KafkaSettings
from parallelm.connections.kafka import client_config
from parallelm.mcenter.local_stack import kafka_broker
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, class_cache, ensure_kafka
from parallelm.mcenter.local_stack.kafka_probe import kafka_answers
from parallelm.supervision.ports import choose_ports
from parallelm.supervision.process import ChildProcess
from tests.certificates import Authority
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 60.0
MECHANISMS = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}
_SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """How to reach the broker."""

    authority: Authority
    folder: Path
    ports: dict[str, int]

    @property
    def superuser(self) -> KafkaSettings:
        """The listener between brokers: no TLS, no password, every right."""
        return KafkaSettings(bootstrap_servers=f"127.0.0.1:{self.ports['internal']}")

    def user(self, name: str, mechanism: str = "SCRAM-SHA-512") -> KafkaSettings:
        """Settings of a user who has been made with this name."""
        return KafkaSettings(
            bootstrap_servers=f"127.0.0.1:{self.ports['sasl']}",
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_username=name,
            sasl_password=f"secret of {name}",
            ssl_ca_location=str(self.authority.file),
        )

    def certified(self, name: str) -> KafkaSettings:
        """Settings of a client with a certificate of ``CN=name``."""
        certificate = self.authority.issue(name)
        return KafkaSettings(
            bootstrap_servers=f"127.0.0.1:{self.ports['ssl']}",
            security_protocol="SSL",
            ssl_ca_location=str(self.authority.file),
            ssl_certificate_location=str(certificate.certificate),
            ssl_key_location=str(certificate.key),
        )

    def make_users(self, *names: str) -> None:
        """Make users, each with both SCRAM mechanisms."""
        admin = AdminClient(client_config(self.superuser))
        wanted = [
            UserScramCredentialUpsertion(name, ScramCredentialInfo(kind, 4096), f"secret of {name}".encode())
            for name in names
            for kind in MECHANISMS.values()
        ]
        for change in wanted:  # one a request: the client takes a user only once in each
            for made in admin.alter_user_scram_credentials([change]).values():
                made.result(TIMEOUT_S)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Run the broker."""
    jars = ensure_kafka(cache_folder())
    ports = choose_ports(dict.fromkeys(("sasl", "ssl", "internal", "controller")), {})
    found = SecuredKafka(Authority(folder), folder, ports)
    properties = folder / "kafka.properties"
    kafka_broker.write_properties(properties, _properties(found))
    environ = dict(os.environ) | kafka_broker.JAVA_ENVIRONMENT
    formatting = ChildProcess(kafka_broker.format_command(jars, properties), environ, folder, folder / "log")
    _wait_for_end(formatting)
    command = kafka_broker.broker_command(jars, properties, class_cache(cache_folder()))
    broker = ChildProcess(command, environ, folder, folder / "log")
    try:
        wait_for(lambda: _reads(broker) and kafka_answers(ports["internal"]), TIMEOUT_S)
        yield found
    finally:
        broker.send(signal.SIGTERM)
        _wait_for_end(broker)


def _properties(kafka: SecuredKafka) -> dict[str, str]:
    ports = kafka.ports
    names = {"SASL": "SASL_SSL", "CERTIFIED": "SSL", "INTERNAL": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
    listeners = {"SASL": ports["sasl"], "CERTIFIED": ports["ssl"], "INTERNAL": ports["internal"]}
    addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())
    certificate = kafka.authority.issue("broker").chain
    return kafka_broker.server_properties(kafka.folder / "data", ports["internal"], ports["controller"]) | {
        "listeners": f"{addresses},CONTROLLER://127.0.0.1:{ports['controller']}",
        "advertised.listeners": addresses,
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in names.items()),
        "inter.broker.listener.name": "INTERNAL",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        **{
            f"listener.name.sasl.{mechanism.lower()}.sasl.jaas.config": f"{_SCRAM_MODULE} required;"
            for mechanism in MECHANISMS
        },
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(kafka.authority.file),
        "listener.name.certified.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The listeners between brokers and controllers, which only they reach.
        "super.users": "User:ANONYMOUS",
    }


def _reads(child: ChildProcess) -> bool:
    """Take what it has written, so that its pipe never fills."""
    child.read_lines()
    if child.exit_code() is not None:
        raise AssertionError("\n".join(child.last_lines))
    return True


def _wait_for_end(child: ChildProcess) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while child.exit_code() is None:
        if time.monotonic() > deadline:
            child.send(signal.SIGKILL)
        child.read_lines()
        time.sleep(0.05)
    child.close()

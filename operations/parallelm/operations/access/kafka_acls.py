"""Rights on a cluster: granted through its own interface, or as a script of ``kafka-acls.sh`` for who may do that."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from parallelm.operations.access.roles import rights_of
from parallelm.operations.errors import AccessError
from parallelm.schemas.topic_admin import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.operations.access.roles import Right, Role

_OPTIONS = {"TOPIC": "--topic", "GROUP": "--group", "TRANSACTIONAL_ID": "--transactional-id"}


def grant(settings: Settings, role: Role, principal: str, *, timeout_s: float = 30.0) -> list[Right]:
    """Give a principal the rights of a role, and return them; those that it has already stay.

    The user of ``settings`` needs ALTER on the cluster. Raises ``AccessError`` when the brokers refuse,
    ``ClusterUnavailableError`` when none answers.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    admin, _ = connect(settings, timeout_s)
    rights = rights_of(role, settings.kafka.topic_prefix)
    bindings = [
        AclBinding(
            ResourceType[right.kind],
            right.name,
            ResourcePatternType.PREFIXED if right.is_prefix else ResourcePatternType.LITERAL,
            principal,
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for right in rights
        for operation in right.operations
    ]
    try:
        for made in admin.create_acls(bindings, request_timeout=timeout_s).values():
            made.result(timeout_s)
    except KafkaException as error:
        raise AccessError(
            f"the brokers do not grant {principal!r} the role {role.name!r}: {error.args[0].str()}; this needs a broker with "
            "an authorizer, and a user with ALTER on the cluster"
        ) from error
    return rights


def kafka_acls_lines(role: Role, principal: str, topic_prefix: str, servers: str) -> Iterator[str]:
    """The same as commands of Kafka's own tool; ``admin.properties`` holds the user who may change rights."""
    for right in rights_of(role, topic_prefix):
        words = [
            "kafka-acls.sh",
            "--bootstrap-server",
            servers,
            "--command-config",
            "admin.properties",
            "--add",
        ]
        words += ["--allow-principal", principal, _OPTIONS[right.kind], right.name]
        words += ["--resource-pattern-type", "prefixed" if right.is_prefix else "literal"]
        for operation in right.operations:
            words += ["--operation", "".join(part.capitalize() for part in operation.split("_"))]
        yield shlex.join(words)

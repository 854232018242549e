"""The packaged schemas: compare them with their history and a registry, and register them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas import packaged
from parallelm.schemas.compatibility import check_history
from parallelm.schemas.errors import UnregisteredSchemaError
from parallelm.schemas.http_registry import HttpRegistry
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from parallelm.connections import Settings


def check_schemas(settings: Settings) -> list[str]:
    """What breaks a consumer, one finding a text; empty when nothing does.

    With a registry in the settings its versions count too, and what it lacks is a finding. Raises
    ``RegistryUnavailableError``.
    """
    registry = _registry(settings) if settings.schema_registry.url else None
    findings: list[str] = []
    for topic in CATALOGUE:
        texts = [schema.text for schema in packaged.versions(topic.record.__name__)]
        findings += map(str, check_history(texts))
        if registry is not None:
            findings += _registry_findings(registry, topic.record, texts[-1])
    return findings


def register_schemas(settings: Settings) -> dict[str, int]:
    """Register every schema and return the ids by subject; registered ones stay. Raises ``RegistryUnavailableError``."""
    registry = _registry(settings)
    ids = {record: registry.register(record) for record in dict.fromkeys(topic.record for topic in CATALOGUE)}
    return {f"{settings.kafka.topic_prefix}{topic.subject}": ids[topic.record] for topic in CATALOGUE}


def _registry(settings: Settings) -> HttpRegistry:
    return HttpRegistry(settings.schema_registry, settings.kafka.topic_prefix)


def _registry_findings(registry: HttpRegistry, record: type, text: str) -> list[str]:
    findings = [
        f"{registry.subject(record)}: {found}"
        for found in check_history([*registry.registered(record), text])
    ]
    try:
        registry.schema_id(record)
    except UnregisteredSchemaError as error:
        findings.append(str(error))
    return findings

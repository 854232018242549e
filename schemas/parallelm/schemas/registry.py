"""Schema registries: the schema of an id on the wire, and the id to write.

Without a registry configured the packaged schemas are used; with ``MCENTER_SCHEMA_REGISTRY_URL`` any
Confluent-compatible registry. Standard library only: the component library imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from parallelm.schemas import packaged
from parallelm.schemas.errors import DecodeError, UnknownSchemaError

if TYPE_CHECKING:
    from parallelm.connections import RegistrySettings


class Registry(Protocol):
    """Where schemas come from."""

    def schema(self, schema_id: int) -> str:
        """JSON text of the schema with this id.

        Raises ``UnknownSchemaError`` when there is none and ``RegistryUnavailableError`` when it is unavailable.
        """

    def schema_id(self, record: type) -> int:
        """Id under which records of this class are written.

        Raises ``UnregisteredSchemaError`` when the registry lacks the schema, ``RegistryUnavailableError`` when it
        cannot be asked.
        """


class PackagedRegistry:
    """The schemas packaged with the code. Needs no network."""

    def schema(self, schema_id: int) -> str:
        """JSON text of the packaged schema with this id.

        Raises ``UnknownSchemaError`` for an id that a newer version of the code may know. Raises ``DecodeError`` for
        any other id: this platform never wrote it, and a retry cannot help.
        """
        if schema_id not in packaged.RESERVED_IDS:
            raise DecodeError(
                f"schema id {schema_id} is not the id of a packaged schema, and no schema registry is configured; set "
                "MCENTER_SCHEMA_REGISTRY_URL when producers use one"
            )
        try:
            return packaged.by_id()[schema_id].text
        except KeyError:
            raise UnknownSchemaError(schema_id, "this version of mcenter-stream") from None

    def schema_id(self, record: type) -> int:
        """Id of the current version of a record's schema."""
        return packaged.current(record.__name__).schema_id


def make_registry(registry: RegistrySettings, topic_prefix: str) -> Registry:
    """The registry that the settings name; subjects are ``<topic_prefix><topic>-value``."""
    if not registry.url:
        return PackagedRegistry()
    from parallelm.schemas.http_registry import HttpRegistry

    return HttpRegistry(registry, topic_prefix)

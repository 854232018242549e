"""Errors of this package: records, schemas, registries and topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.topic_writer import OutgoingRecord


class SchemaError(Exception):
    """Base of this package's errors. The message says what was wrong, the value, and what to do."""


class EncodeError(SchemaError):
    """A record does not fit its schema. The caller must correct it: a retry fails again."""


class DecodeError(SchemaError):
    """Bytes that are not a record. A retry fails again: they go to the dead letters."""


class UnknownSchemaError(SchemaError):
    """No schema has this id so far: a newer producer may be ahead of this consumer. Never a dead letter.

    Pause the partition and retry; stop with this message if that does not help.
    """

    def __init__(self, schema_id: int, registry: str) -> None:
        super().__init__(
            f"{registry} has no schema with id {schema_id}; upgrade this consumer when a newer version wrote the "
            "record, or set MCENTER_SCHEMA_REGISTRY_URL to the registry that its producer uses"
        )
        self.schema_id = schema_id


class UnregisteredSchemaError(SchemaError):
    """The registry does not hold the schema that this version of the code writes."""


class RegistryUnavailableError(SchemaError):
    """The registry did not answer, or not like a schema registry. A later retry may succeed."""


class TopicsError(SchemaError):
    """The cluster refused a request about its topics."""


class ClusterUnavailableError(TopicsError):
    """No broker answered in time. A later retry may succeed."""


class UndeliveredError(TopicsError):
    """The broker did not confirm some records. They may have arrived: sending them again may duplicate them."""

    def __init__(self, message: str, records: Sequence[OutgoingRecord]) -> None:
        super().__init__(message)
        self.records = records
        """The records that were not confirmed."""


class SignatureError(SchemaError):
    """A model is not signed as it has to be, or a key cannot be used."""


class CaptureFileError(SchemaError):
    """A file is no timeline capture, or one that must not be read; the message names the member."""

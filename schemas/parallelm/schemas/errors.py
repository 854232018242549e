"""Errors of contracts: what a record, a schema, a registry or a cluster's topics may get wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.topic_writer import OutgoingRecord


class SchemaError(Exception):
    """Base of this package's errors. The message says what was wrong, the value, and what to do."""


class EncodeError(SchemaError):
    """A record does not fit its schema. The caller's fault: encoding it again fails again."""


class DecodeError(SchemaError):
    """Bytes that are no record of ours. Decoding them again fails again: they belong to the dead letters."""


class UnknownSchemaError(SchemaError):
    """No schema has this id, yet: a newer producer may be ahead of this consumer. Never a dead letter.

    Pause the partition and try again; stop with this message when it stays so.
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
    """The registry did not answer, or not as a registry does. Worth another try later."""


class TopicsError(SchemaError):
    """The cluster refused what was asked about its topics."""


class ClusterUnavailableError(TopicsError):
    """No broker answered in time. Worth another try later."""


class UndeliveredError(TopicsError):
    """The broker is not known to have some records. They may have arrived; sending them again may repeat them."""

    def __init__(self, message: str, records: Sequence[OutgoingRecord]) -> None:
        super().__init__(message)
        self.records = records
        """Those that are not known to have arrived."""

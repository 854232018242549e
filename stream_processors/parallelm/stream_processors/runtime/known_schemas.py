"""Has the schemas of records before they are handled, so that no record fails, or blocks others, for the want of one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.wire import HEADER, schema_id_of
from parallelm.stream_processors.runtime.daemon_threads import in_a_daemon_thread
from parallelm.stream_processors.runtime.patience import UNKNOWN_SCHEMA_LIMIT_S, with_patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.registry import Registry
    from parallelm.stream_processors.runtime.chunks import Incoming


class KnownSchemas:
    """Shared by the shards of a worker."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: set[bytes] = set()
        # Only a registry may hear of a schema while this process runs.
        self._limit_s = 0.0 if isinstance(registry, PackagedRegistry) else UNKNOWN_SCHEMA_LIMIT_S

    async def of(self, records: Sequence[Incoming]) -> None:
        """Wait until the registry has answered; raises ``UnknownSchemaError`` when it has no such schema for long."""
        headers = {record.value[: HEADER.size] for record in records if record.value}
        for header in headers - self._known:
            with contextlib.suppress(DecodeError):  # poison: it becomes a dead letter where it is decoded
                schema_id = schema_id_of(header)
                await with_patience(
                    lambda schema_id=schema_id: in_a_daemon_thread(lambda: self._registry.schema(schema_id)),  # type: ignore[misc]
                    "asking for a schema",
                    unknown_schema_limit_s=self._limit_s,
                )
                self._known.add(header)

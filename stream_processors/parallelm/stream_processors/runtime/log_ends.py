"""Where partitions end and how far they are handled, asked in one call for all shards that want to know at the same time.

Not through Faust's consumer: its thread serves one call after another, each behind a fetch that waits up to a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.group_offsets import GroupOffsets
from parallelm.schemas.topic_admin import log_offsets
from parallelm.stream_processors.runtime.daemon_threads import in_a_daemon_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.connections import KafkaSettings

_TIMEOUT_S = 10.0

Place = tuple[str, int]


class LogEnds:
    """Shared by the shards of a worker."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin: Any = None
        self._waiting: list[tuple[Sequence[Place], asyncio.Future[Mapping[Place, int]]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def of(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Offsets of (topic, partition) pairs, no older than this call; raises errors of the cluster."""
        future: asyncio.Future[Mapping[Place, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((places, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await future

    async def _ask(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                places = sorted({place for wanted, _ in asked for place in wanted})
                found: Mapping[Place, int] | Exception
                try:
                    found = await in_a_daemon_thread(lambda places=places: self._list(places))  # type: ignore[misc]
                except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
                    found = error
                for wanted, future in asked:
                    _answer(future, wanted, found)
        finally:
            self._asking = None

    def _list(self, places: Sequence[Place]) -> dict[Place, int]:
        from confluent_kafka.admin import OffsetSpec

        return log_offsets(self._client(), places, OffsetSpec.latest(), _TIMEOUT_S)

    def _client(self) -> Any:
        from confluent_kafka.admin import AdminClient

        if self._admin is None:
            self._admin = AdminClient(client_config(self._kafka))
        return self._admin


class HandledOffsets(LogEnds):
    """Where the consumer group goes on in each partition: 0 where it has not begun."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        super().__init__(kafka)
        self._group = group
        self._offsets: GroupOffsets | None = None

    def _list(self, places: Sequence[Place]) -> dict[Place, int]:
        if self._offsets is None:
            self._offsets = GroupOffsets(self._kafka, self._group)
        return self._offsets.of(places, _TIMEOUT_S)


def _answer(
    future: asyncio.Future[Mapping[Place, int]],
    wanted: Sequence[Place],
    found: Mapping[Place, int] | Exception,
) -> None:
    if future.done():  # the shard was closed meanwhile
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result({place: found[place] for place in wanted})

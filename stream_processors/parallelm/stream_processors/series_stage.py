"""Series stage: statistics, on the partition of their record. What some rule watches travels on to its MLApp's partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import RecordPosition
from parallelm.schemas.slicing import StatisticsDecoder
from parallelm.schemas.topics import RULE_AGGREGATES
from parallelm.stream_processors.alerts.aggregates import aggregates_of
from parallelm.stream_processors.runtime.transactions import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.dead_letters import DeadLetters
    from parallelm.stream_processors.runtime.stored_state import BodyKind, StateStore


class SeriesHandler:
    """Remembers nothing: what a series has done before, its MLApp's partition knows."""

    kinds: Mapping[str, BodyKind] = {}

    def __init__(self, codec: Codec, prefix: str, rules: CurrentRules, letters: DeadLetters) -> None:
        self._codec = codec
        self._decoder = StatisticsDecoder(codec.registry)
        self._topic = RULE_AGGREGATES.full_name(prefix)
        self._rules = rules
        self._letters = letters

    async def prepare(self, records: Sequence[Incoming]) -> None:
        """Know every definition that was applied before."""
        if records:
            await self._rules.refresh()

    def handle(self, store: StateStore, record: Incoming) -> Iterator[Output]:  # noqa: ARG002 - it has no state
        """One record of what each watching rule sees in it."""
        if record.value is None:
            raise DecodeError(f"a tombstone has no meaning on topic {record.topic}")
        batch = self._decoder.decode(record.value)
        mlapp_id = batch.mlapp_id.decode()
        index = self._rules.index(mlapp_id)
        cause = RecordPosition(topic=record.topic, partition=record.partition, offset=record.offset)
        for aggregate in aggregates_of(batch, index, cause) if index is not None else ():
            yield Output(self._topic, mlapp_id.encode(), self._codec.encode(aggregate))
        self._letters.handled()

    def on_time(self, store: StateStore, now_ms: int) -> Iterator[Output]:  # noqa: ARG002 - it has no state
        """Time changes nothing here."""
        return iter(())

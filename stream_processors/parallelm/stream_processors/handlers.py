"""The two handlers behind the agents: statistics to aggregates, and control records to transitions."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import RecordPosition
from parallelm.schemas.slicing import StatisticsDecoder
from parallelm.schemas.times import is_time
from parallelm.schemas.topics import CATALOGUE, MLAPPS, RULE_AGGREGATES
from parallelm.schemas.well_known import TIME_BOUNDS
from parallelm.stream_processors.alerts.aggregates import aggregates_of
from parallelm.stream_processors.control import Arrival, Control
from parallelm.stream_processors.partitioning import control_partition
from parallelm.stream_processors.sending import FATAL, with_patience
from parallelm.stream_processors.state import Changes, Output, StoredState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.dead_letters import DeadLetters
    from parallelm.stream_processors.sending import KafkaEffects
    from parallelm.stream_processors.state import Key

logger = logging.getLogger(__name__)


class InvalidRecordError(Exception):
    """A record was decoded, but says what cannot be. It becomes a dead letter."""


class StatisticsHandler:
    """Statistics that some rule watches travel on to their MLApp's partition; keeps no state."""

    name = "statistics"

    def __init__(
        self, codec: Codec, prefix: str, rules: CurrentRules, letters: DeadLetters, effects: KafkaEffects
    ) -> None:
        self._codec = codec
        self._decoder = StatisticsDecoder(codec.registry)
        self._topic = RULE_AGGREGATES.full_name(prefix)
        self._rules = rules
        self._letters = letters
        self._effects = effects

    async def handle(self, messages: Sequence[Any]) -> None:
        """Send the aggregates of a batch and wait for the broker."""
        await self._rules.refresh()
        outputs: list[Output] = []
        for message in messages:
            try:
                outputs += await with_patience(lambda seen=message: self._aggregates(seen), "statistics")  # type: ignore[misc]
            except FATAL:
                raise
            except Exception as error:  # noqa: BLE001 - the next record is handled whatever this one raises
                outputs.append(_dead_letter(self._letters, message, error, "rules"))
            else:
                self._letters.handled()
        await self._effects.send(outputs)

    async def _aggregates(self, message: Any) -> list[Output]:
        batch = self._decoder.decode(_value(message))
        mlapp_id = batch.mlapp_id.decode()
        index = self._rules.index(mlapp_id)
        if index is None:
            return []
        return [
            Output(self._topic, RULE_AGGREGATES.key(aggregate), self._codec.encode(aggregate))
            for aggregate in aggregates_of(batch, index, _position(message))
        ]


class ControlHandler:
    """Records keyed by MLApp change its state and lead to transitions."""

    name = "control"

    def __init__(
        self,
        codec: Codec,
        prefix: str,
        rules: CurrentRules,
        letters: DeadLetters,
        effects: KafkaEffects,
        table: Any,
    ) -> None:
        self._codec = codec
        self._control = Control(codec, prefix, control_partition)
        self._expected = {topic.full_name(prefix): topic.record for topic in CATALOGUE}
        self._mlapps = MLAPPS.full_name(prefix)
        self._aggregates = RULE_AGGREGATES.full_name(prefix)
        self._rules = rules
        self._letters = letters
        self._effects = effects
        self._table = table
        self._cache: dict[bytes, tuple[bytes, StoredState]] = {}
        self._sent: dict[bytes, bytes] = {}

    async def handle(self, messages: Sequence[Any]) -> None:
        """Apply a batch; make its state durable, then send what follows from it. A record is applied whole or not."""
        if any(message.topic == self._aggregates for message in messages):
            await self._rules.refresh()
        changes = Changes(self._table.data, self._cache, self._sent)
        partitions: dict[Key, int] = {}
        letters: list[Output] = []
        for message in messages:
            try:
                tried = await with_patience(lambda seen=message, on=changes: self._apply(seen, on), "control")  # type: ignore[misc]
            except FATAL:
                raise
            except Exception as error:  # noqa: BLE001 - the next record is handled whatever this one raises
                letters.append(_dead_letter(self._letters, message, error, "control"))
                continue
            self._letters.handled()
            before = changes.changed  # a key that is deleted has None there: absent is something else
            changed = [
                key for key, kept in tried.changed.items() if key not in before or before[key] is not kept
            ]
            partitions |= dict.fromkeys(changed, message.partition)
            changes = tried
        values = {
            key.to_bytes(): (kept.to_bytes() if kept is not None else None, partitions[key])
            for key, kept in changes.changed.items()
        }
        await self._effects.write(values)
        await self._effects.send([*changes.outputs(), *letters])
        self._remember_sent(values)

    def _remember_sent(self, values: Mapping[bytes, tuple[bytes | None, int]]) -> None:
        for name, (value, _) in values.items():
            if value is None:
                self._sent.pop(name, None)
                self._cache.pop(name, None)
            else:
                self._sent[name] = value

    async def _apply(self, message: Any, changes: Changes) -> Changes:
        tried = changes.copy()
        arrival = Arrival(_position(message), round(message.timestamp * 1000), time.time_ns() // 1_000_000)
        record: Any = None
        if message.value is not None or message.topic != self._mlapps:
            record = self._codec.decode(_value(message), self._expected[message.topic])
            _check_time(record)
        mlapp_id = (message.key or b"").decode()
        self._control.apply(tried, mlapp_id, record, arrival, self._rules.by_mlapp())
        return tried


def _value(message: Any) -> bytes:
    if message.value is None:
        raise DecodeError(f"a tombstone has no meaning on topic {message.topic}")
    value: bytes = message.value
    return value


def _check_time(record: Any) -> None:
    """State that took an impossible time would hold all later records for old ones."""
    time_ms = getattr(record, "event_time_ms", 0)
    if not is_time(time_ms):
        raise InvalidRecordError(
            f"event_time is {time_ms}, which is outside the years {TIME_BOUNDS} in epoch milliseconds"
        )


def _position(message: Any) -> RecordPosition:
    return RecordPosition(topic=message.topic, partition=message.partition, offset=message.offset)


def _dead_letter(letters: DeadLetters, message: Any, error: Exception, stage: str) -> Output:
    if isinstance(error, InvalidRecordError):
        stage = "validate"
    elif isinstance(error, (DecodeError, UnicodeDecodeError)):
        stage = "decode"
    place = f"{message.topic}/{message.partition}@{message.offset}"
    logger.warning("%s goes to the dead letters (%s): %s: %s", place, stage, type(error).__name__, error)
    return letters.of(message, stage, error)

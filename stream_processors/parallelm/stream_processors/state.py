"""What the table keeps for a key, and a batch's changes on top of it.

A key is one alert, or the deployments of one MLApp. With its state it keeps the last record absorbed from each
partition and the records sent because of them: a record that comes again changes nothing and sends those once more.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
from parallelm.stream_processors.alerts.rule_alerts import RuleAlert
from parallelm.stream_processors.model_policy.state import MLAppDeployments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.schemas.records import RecordPosition

Body = RuleAlert | ComponentAlert | MLAppDeployments

RULE_ALERT = "rule-alert"
COMPONENT_ALERT = "component-alert"
DEPLOYMENTS = "deployments"
_BODIES: dict[str, TypeAdapter[Any]] = {
    RULE_ALERT: TypeAdapter(RuleAlert),
    COMPONENT_ALERT: TypeAdapter(ComponentAlert),
    DEPLOYMENTS: TypeAdapter(MLAppDeployments),
}


MAX_OUTPUT_BYTES = 1_000_000
"""What a broker takes by default, less its own overhead. A larger record would always be refused."""


class StateError(Exception):
    """The worker's own state cannot be read. No record's fault: the worker stops."""


class OutputTooLargeError(Exception):
    """What follows from a record does not fit into one."""


@dataclass(frozen=True, slots=True)
class Key:
    """Key of the table."""

    kind: str
    mlapp_id: str
    fingerprint: str = ""

    def to_bytes(self) -> bytes:
        """Key on the changelog topic."""
        return json.dumps([self.kind, self.mlapp_id, self.fingerprint]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Key:
        """Inverse of ``to_bytes``."""
        return cls(*json.loads(data))


@dataclass(frozen=True, slots=True)
class Output:
    """A record sent because of a key's state; ``topic`` with prefix. Raises ``OutputTooLargeError``."""

    topic: str
    key: bytes
    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) > MAX_OUTPUT_BYTES:
            raise OutputTooLargeError(
                f"a record of {len(self.value)} bytes for {self.topic}; brokers take {MAX_OUTPUT_BYTES}"
            )


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the table stores for a key."""

    body: Body
    absorbed: Mapping[str, int] = field(default_factory=dict)
    """Last absorbed offset by ``topic/partition``."""
    outputs: tuple[Output, ...] = ()

    def has_absorbed(self, position: RecordPosition) -> bool:
        """Whether a record changes nothing any more."""
        return position.offset <= self.absorbed.get(_place(position), -1)

    def absorb(self, position: RecordPosition, body: Body, outputs: tuple[Output, ...]) -> StoredState:
        """The stored state after a record."""
        absorbed = dict(self.absorbed) | {_place(position): position.offset}
        return replace(self, body=body, absorbed=absorbed, outputs=outputs)

    def to_bytes(self) -> bytes:
        """Value on the changelog topic."""
        sent = [
            (output.topic, b64encode(output.key).decode(), b64encode(output.value).decode())
            for output in self.outputs
        ]
        kept = {"absorbed": dict(self.absorbed), "outputs": sent, "body": asdict(self.body)}
        return json.dumps(kept, default=sorted, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, kind: str, data: bytes) -> StoredState:
        """Inverse of ``to_bytes``; ``kind`` is the key's. Raises ``StateError``."""
        try:
            kept = json.loads(data)
            sent = tuple(
                Output(topic, b64decode(key), b64decode(value)) for topic, key, value in kept["outputs"]
            )
            return cls(_BODIES[kind].validate_python(kept["body"]), kept["absorbed"], sent)
        except (ValueError, KeyError, TypeError) as error:  # pydantic's error is a ValueError
            raise StateError(
                f"state of kind {kind!r} cannot be read; another version wrote it: {error}"
            ) from error


@dataclass(slots=True)
class Changes:
    """A batch's work on one partition: what it read, what it changed, and what is to be sent.

    ``stored`` is the table, bytes to bytes; it is not written here. ``cache`` saves decoding a value again that has not
    changed. ``sent`` holds the values whose outputs this worker has seen acknowledged; of a value that was recovered
    it is unknown whether the worker that wrote it sent them, so they stay and are sent with the next change.
    """

    stored: Mapping[bytes, bytes]
    cache: dict[bytes, tuple[bytes, StoredState]]
    sent: Mapping[bytes, bytes]
    changed: dict[Key, StoredState | None] = field(default_factory=dict)
    """None: the key is deleted."""
    resend: dict[Output, None] = field(default_factory=dict)
    _index: dict[str, set[Key]] | None = None
    """Keys of each MLApp, made when it is asked for the first time."""

    def get(self, key: Key) -> StoredState | None:
        """What is stored for a key, this batch's changes included."""
        if key in self.changed:
            return self.changed[key]
        name = key.to_bytes()
        data = self.stored.get(name)
        if data is None:
            return None
        cached = self.cache.get(name)
        if cached is None or cached[0] is not data:
            cached = self.cache[name] = (data, StoredState.from_bytes(key.kind, data))
        return cached[1]

    def keys_of(self, mlapp_id: str) -> Iterator[tuple[Key, StoredState]]:
        """Every key of an MLApp with what is kept for it, in a fixed order."""
        names = self._by_mlapp().get(mlapp_id, set())
        for key in sorted(names, key=lambda key: (key.kind, key.fingerprint)):
            kept = self.get(key)
            if kept is not None:
                yield key, kept

    def mlapps(self) -> list[str]:
        """Ids of all MLApps that something is kept for."""
        return sorted(self._by_mlapp())

    def _by_mlapp(self) -> dict[str, set[Key]]:
        if self._index is None:
            self._index = {}
            for key in (*map(Key.from_bytes, self.stored), *self.changed):
                self._index.setdefault(key.mlapp_id, set()).add(key)
        return self._index

    def put(self, key: Key, position: RecordPosition, body: Body, outputs: tuple[Output, ...]) -> None:
        """Absorb a record into a key. Outputs stay until they have been sent."""
        kept = self.get(key) or StoredState(body)
        unsent = () if self._is_sent(key) else kept.outputs
        self.changed[key] = kept.absorb(position, body, unsent + outputs)
        if self._index is not None:
            self._index.setdefault(key.mlapp_id, set()).add(key)

    def delete(self, key: Key) -> None:
        """Forget a key, if it has nothing left to send; else the next occasion will do."""
        if self._is_sent(key):
            self.changed[key] = None

    def _is_sent(self, key: Key) -> bool:
        if key in self.changed:
            return False
        name = key.to_bytes()
        data = self.stored.get(name)
        return data is not None and self.sent.get(name) is data

    def send_again(self, kept: StoredState) -> None:
        """The record was absorbed before: its outputs may or may not have reached the broker."""
        self.resend |= dict.fromkeys(kept.outputs)

    def copy(self) -> Changes:
        """A copy to try a record on, so that a failing record leaves no half of its changes."""
        return Changes(self.stored, self.cache, self.sent, dict(self.changed), dict(self.resend), self._index)

    def outputs(self) -> list[Output]:
        """Everything to send after the changes are durable; each record once."""
        new = [output for kept in self.changed.values() if kept is not None for output in kept.outputs]
        return list(dict.fromkeys([*self.resend, *new]))


def _place(position: RecordPosition) -> str:
    return f"{position.topic}/{position.partition}"

"""What a shard remembers by key, and how it is written to the changelog.

The changelog is a compacted topic of ``ProcessorState`` records, one for each key, with the shard's partition number: the
newest value of each key is enough to go on from.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import TypeAdapter

from parallelm.schemas.records import ProcessorState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_VALUE_BYTES = 900_000
"""A broker takes records up to 1 MB; larger state would never be written."""


class StateError(Exception):
    """The worker's own state cannot be read. No record is at fault: the worker stops."""


class StateTooLargeError(Exception):
    """What is remembered for a key does not fit a record."""


class Key(NamedTuple):
    """Key of something remembered: its kind, the MLApp it belongs to, and which one of that kind."""

    kind: str
    mlapp_id: str
    name: str = ""

    def to_bytes(self) -> bytes:
        """Key on the changelog."""
        return json.dumps(self).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Key:
        """Inverse of ``to_bytes``; raises ``StateError``."""
        try:
            return cls(*json.loads(data))
        except (ValueError, TypeError) as error:
            raise StateError(f"key {data!r} of the changelog cannot be read: {error}") from error


class Body(Protocol):
    """What is remembered for a key: an immutable dataclass."""

    @property
    def due_ms(self) -> float | None:
        """When time alone changes it, by the broker's clock; None: never."""


@dataclass(frozen=True, slots=True)
class BodyKind:
    """How bodies of one kind are read and written. ``upgrades`` turns version n into n + 1, as plain JSON values."""

    type: Any
    version: int = 1
    upgrades: Mapping[int, Callable[[Any], Any]] = field(default_factory=dict)
    adapter: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", TypeAdapter(self.type))

    def to_json(self, body: Any) -> bytes:
        """A body in the form of this version."""
        # Not pydantic's own JSON: it writes infinities as null.
        return json.dumps(self.adapter.dump_python(body), default=sorted, separators=(",", ":")).encode()

    def from_json(self, version: int, data: str) -> Any:
        """Inverse of ``to_json``, for this version and earlier ones; raises ``StateError``."""
        if version > self.version:
            raise StateError(f"a newer version ({version}) wrote it; run that version's processors")
        try:
            if version == self.version:
                return self.adapter.validate_json(data)
            body = json.loads(data)
            for earlier in range(version, self.version):
                body = self.upgrades[earlier](body)
            return self.adapter.validate_python(body)
        except (ValueError, KeyError, TypeError) as error:  # pydantic's error is a ValueError
            raise StateError(f"it cannot be read: {error}") from error


class StateStore:
    """Everything that a shard remembers as of its last transaction, and a batch's changes on top of it."""

    def __init__(self, kinds: Mapping[str, BodyKind]) -> None:
        self._kinds = kinds
        self._bodies: dict[Key, Any] = {}
        self._changed: dict[Key, Any] = {}
        self._by_mlapp: dict[str, set[Key]] = {}
        """Every key that has a body, and those of this batch: a batch may be about thousands of MLApps."""
        self._due: list[tuple[float, Key]] = []
        self._undo: dict[Key, tuple[bool, Any]] | None = None
        self._encoded: dict[Key, tuple[Any, ProcessorState]] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def load(self, key: bytes, stored: ProcessorState | None) -> None:
        """Take a record of the changelog; raises ``StateError``."""
        found = Key.from_bytes(key)
        if stored is None:
            self._settle(found, None)
            return
        kind = self._kinds.get(found.kind)
        if kind is None:
            raise StateError(f"state of kind {found.kind!r} is unknown; another version wrote it")
        try:
            self._settle(found, kind.from_json(stored.version, stored.body))
        except StateError as error:
            raise StateError(f"state of {found}: {error}") from error

    def get(self, key: Key) -> Any:
        """Body of a key with the changes of this batch; None when there is none."""
        return self._changed[key] if key in self._changed else self._bodies.get(key)

    def put(self, key: Key, body: Any) -> None:
        """Remember ``body``; None forgets the key."""
        if self._undo is not None and key not in self._undo:
            self._undo[key] = (key in self._changed, self._changed.get(key))
        self._changed[key] = body
        self._by_mlapp.setdefault(key.mlapp_id, set()).add(key)

    def keys_of(self, mlapp_id: str, kind: str | None = None) -> Iterator[tuple[Key, Any]]:
        """Keys of an MLApp with their bodies, in a fixed order."""
        for key in sorted(self._by_mlapp.get(mlapp_id, ())):
            if kind is None or key.kind == kind:
                body = self.get(key)
                if body is not None:
                    yield key, body

    def all_of(self, kind: str) -> list[tuple[Key, Any]]:
        """Every key of a kind with its body."""
        found = self._bodies | self._changed
        return [(key, body) for key, body in sorted(found.items()) if key.kind == kind and body is not None]

    def due(self, now_ms: float) -> list[tuple[Key, Any]]:
        """Keys whose bodies time has reached, the earliest first."""
        reached: dict[Key, float] = {}
        while self._due and self._due[0][0] <= now_ms:
            at_ms, key = heapq.heappop(self._due)
            body = self._bodies.get(key)
            if body is not None and body.due_ms == at_ms:
                reached[key] = at_ms
        for key, at_ms in reached.items():  # what is left as it is stays due
            heapq.heappush(self._due, (at_ms, key))
        found = {key: at_ms for key, at_ms in reached.items() if key not in self._changed}
        for key, body in self._changed.items():
            if body is not None and body.due_ms is not None and body.due_ms <= now_ms:
                found[key] = body.due_ms
        return [(key, self.get(key)) for key in sorted(found, key=lambda key: (found[key], key))]

    def begin_record(self) -> None:
        """From here on changes can be undone with ``undo_record``."""
        self._undo = {}

    def undo_record(self) -> None:
        """Take back what has changed since ``begin_record``."""
        for key, (was_changed, body) in (self._undo or {}).items():
            if was_changed:
                self._changed[key] = body
            else:
                del self._changed[key]
                self._unlist(key)
        self._undo = None

    def changed_in_record(self) -> list[Key]:
        """Keys that have changed since ``begin_record``."""
        return list(self._undo or ())

    def encode(self, key: Key) -> ProcessorState | None:
        """Record of a key for the changelog, None when it is forgotten; raises ``StateTooLargeError``."""
        body = self.get(key)
        if body is None:
            return None
        known = self._encoded.get(key)
        if known is not None and known[0] is body:
            return known[1]
        kind = self._kinds[key.kind]
        value = kind.to_json(body)
        if len(value) > MAX_VALUE_BYTES:
            raise StateTooLargeError(
                f"{len(value)} bytes would be remembered for {key.kind} {key.name!r} of MLApp {key.mlapp_id!r}; "
                f"at most {MAX_VALUE_BYTES} fit"
            )
        record = ProcessorState(
            kind=key.kind, mlapp_id=key.mlapp_id, name=key.name, version=kind.version, body=value.decode()
        )
        self._encoded[key] = (body, record)
        return record

    def changes(self) -> dict[Key, ProcessorState | None]:
        """What the changelog needs for this batch; raises ``StateTooLargeError``."""
        return {
            key: self.encode(key) for key, body in self._changed.items() if body is not self._bodies.get(key)
        }

    def discard(self) -> None:
        """Forget the changes of this batch."""
        changed, self._changed = self._changed, {}
        for key in changed:
            self._unlist(key)
        self._encoded.clear()
        self._undo = None

    def commit(self) -> None:
        """The batch's transaction went through."""
        for key, body in self._changed.items():
            self._settle(key, body)
        self.discard()

    def _settle(self, key: Key, body: Any) -> None:
        if body is None:
            self._bodies.pop(key, None)
            self._unlist(key)
            return
        self._bodies[key] = body
        self._by_mlapp.setdefault(key.mlapp_id, set()).add(key)
        if body.due_ms is not None:
            heapq.heappush(self._due, (body.due_ms, key))

    def _unlist(self, key: Key) -> None:
        """A key that has neither a body nor a change is not one of its MLApp any more."""
        names = self._by_mlapp.get(key.mlapp_id)
        if names is not None and key not in self._bodies and key not in self._changed:
            names.discard(key)
            if not names:
                del self._by_mlapp[key.mlapp_id]

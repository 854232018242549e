"""What a shard is given: the handler of its stage, and what it needs of its worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from parallelm.schemas.records import ProcessorState
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.stored_state import BodyKind, StateStore
    from parallelm.stream_processors.runtime.transactions import Output, Transactions


class Handler(Protocol):
    """What a stage does with a shard's records. Pure but for ``prepare``."""

    kinds: Mapping[str, BodyKind]

    def opened(self, store: StateStore) -> None:
        """The state was loaded, at first or again: whatever the handler remembers beside it is not valid."""

    async def prepare(self, records: Sequence[Incoming]) -> None:
        """Get what the batch needs from outside; tried again while it raises what passes."""

    def handle(self, store: StateStore, record: Incoming) -> Iterator[Output]:
        """Apply one record: changes go to ``store``, records to send are returned. What it raises makes a dead letter."""

    def on_time(self, store: StateStore, now_ms: int) -> Iterator[Output]:
        """Apply the passing of time, by the broker's clock: every record that had arrived by then is handled."""

    def finish(self, store: StateStore) -> Iterator[Output]:
        """The end of a batch: put into ``store`` what the handler has changed in its own memory, and send the rest."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a shard needs of its worker."""

    topic_ids: Mapping[str, str]
    changelog: str
    open_transactions: Callable[[], Transactions]
    read_changelog: Callable[[], Awaitable[Sequence[tuple[bytes, ProcessorState | None]]]]
    know_schemas: Callable[[Sequence[Incoming]], Awaitable[None]]
    """Waits until the schemas of records are there."""
    ends: Callable[[], Awaitable[Mapping[str, int] | None]]
    """Ends of the shard's partitions by topic; None until earlier stages have handled what had arrived at the first call."""
    dead_letter: Callable[[Incoming, str, Exception], Output]
    encode_state: Callable[[ProcessorState | None], bytes | None]
    is_member: Callable[[], Awaitable[bool]]
    """Asks the broker whether this worker is still in the group: one that was paused for long hears of its exclusion late."""
    is_mine: Callable[[int], bool]
    """Whether an assignment of this consumer, by its number, is the current one."""
    read_again: Callable[[str, int, int, int], Awaitable[object]]
    """Sends reading back: topic, partition, offset, and the number of the assignment under which this is to hold."""
    assignment_known: Callable[[], Awaitable[object]]
    """Waits while a rebalance goes on: no batch starts between the revocation and the new assignment."""

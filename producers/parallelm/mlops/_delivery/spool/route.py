"""The route through the spool: what this process writes there, and what dead processes have left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.mlops._delivery.spool.replay import Replay
from parallelm.mlops._delivery.spool.spool import Spool
from parallelm.schemas import topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._delivery.encoding.encoded import EncodedRecord

_TOPICS = (
    topics.STATISTICS,
    topics.STRUCTURED_STATISTICS,
    topics.EVENTS,
    topics.KPIS,
    topics.PREDICTIONS,
    topics.ACTUALS,
)


class SpoolRoute:
    """For the sender thread only."""

    def __init__(
        self, settings: Settings, producer_id: str, progress: Callable[[], None], dropped: DropCounter
    ) -> None:
        component, prefix = settings.component, settings.kafka.topic_prefix
        folder = Path(component.spool_folder)
        self.own = Spool(folder, producer_id, prefix, component.spool_max_mbytes << 20, dropped)
        names = [topic.full_name(prefix) for topic in _TOPICS]
        self._others = Replay(settings.kafka, folder, names, self.own.begin, progress, dropped)

    def start(self) -> None:
        """Start looking for what dead processes have left."""
        self._others.start()

    def append(self, record: EncodedRecord) -> bool:
        """Store a record; False when the disk refuses it."""
        return self.own.append(record)

    def has_room(self) -> bool:
        """Whether the disk is likely to accept another record."""
        return self.own.has_room()

    def take(self) -> EncodedRecord | None:
        """The next record that may be sent."""
        return self.own.take() or self._others.take()

    def tend(self) -> None:
        """Periodic work, due about once a second."""
        self.own.tend()

    @property
    def is_busy(self) -> bool:
        """Whether something has not arrived yet, or the replay may still find something."""
        return self.own.unsettled > 0 or self._others.busy

    def stop(self) -> None:
        """Send nothing more; when nothing is left, remove this process's folder."""
        self._others.stop()
        if not self.own.unsettled:
            self.own.close()

    def close(self) -> None:
        """Leave the rest to the next process. Only after the producer was closed, when no request can be in flight."""
        self.own.close()
        self._others.release()

    def leave_to_parent(self) -> None:
        """In a forked child: files and locks are the parent's."""
        self.own.leave_to_parent()
        self._others.leave_to_parent()

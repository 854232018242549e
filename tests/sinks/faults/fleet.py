"""Sinks as their supervisors run them, each with a wire of its own to ClickHouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tests.sinks.wire import through_wire
from tests.stream_processors.faults.fleet import FleetProcess

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

SESSION_TIMEOUT_S = 3.0
_TOPICS = "statistics,events,dead-letters"


class FleetSink(FleetProcess):
    """One ``mcenter sink``; static members have an instance id."""

    def __init__(self, settings: Settings, folder: Path, *, instance_id: str = "") -> None:
        self._through_wire = through_wire(settings)
        moved, self.wire = self._through_wire.__enter__()
        static = ("--instance-id", instance_id) if instance_id else ()
        timeout = ("--session-timeout-s", str(SESSION_TIMEOUT_S))
        super().__init__(folder, "sink", "--topics", _TOPICS, *timeout, *static, settings=moved)

    def close(self) -> None:
        """End it for good."""
        if self.runs:
            self.kill()
        self.wire.close()


class Fleet:
    """Two static members, one that comes and goes, and one with the instance id of another."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.static = [
            FleetSink(settings, folder / f"static-{number}", instance_id=f"static-{number}")
            for number in range(2)
        ]
        self.guest = FleetSink(settings, folder / "guest")
        self.twin = FleetSink(settings, folder / "twin", instance_id="static-0")
        self.wanted: list[FleetSink] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self.all:
            sink.close()

    @property
    def all(self) -> list[FleetSink]:
        return [*self.static, self.guest, self.twin]

    def start(self, sink: FleetSink, *, wait: bool = False) -> None:
        self.wanted.append(sink)
        sink.start(wait=wait)

    def supervise(self) -> None:
        """Start those again that have ended by themselves."""
        for sink in self.wanted:
            sink.supervise()

    def logs(self) -> str:
        """The ends of their logs."""
        return "\n".join(
            f"--- {sink.folder.name}\n{sink.log()[-3000:]}" for sink in self.all if sink.process is not None
        )

"""Stand-alone output: one line a report, on stdout or in the file that PM_MLOPS_FILE names.

Programs parse these lines: their form is part of the public contract.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from parallelm.mlops._outputs.output import Output
from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TextIO

    from parallelm.mlops._models.outbox import ModelToPublish, OutboxEntry
    from parallelm.mlops._outputs.output import EventReport, KpiReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.mlops._reporting.samples import SeriesKey


_ESCAPED_ENDS: Final = {ord(end): json.dumps(end)[1:-1] for end in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
"""Where ``str.splitlines`` ends a line: names and titles may hold one, and each report is one line."""


class StandAloneOutput(Output):
    """Prints every report."""

    def __init__(self, file: str, agent_id: str) -> None:
        self._agent_id = agent_id
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._file: TextIO | None = None
        self._folder: Path | None = None
        self._owner = os.getpid()
        self.published: dict[str, OutboxEntry] = {}
        """Copies of the models that were published, by id."""
        if file:
            from pathlib import Path

            try:
                # Open until done(); started afresh by every init().
                self._file = Path(file).open("w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
            except (OSError, ValueError) as error:
                raise MLOpsException(
                    f"PM_MLOPS_FILE names {file!r}, which cannot be written: {error}"
                ) from error

    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:
        """``{'name': value}``."""
        name, _, category, graph_type, _ = series
        mode = "TIME_SERIES" if category == "TIME_SERIES" else "INSTANT"
        self._line(time_ns, name, graph_type, mode, repr({name: value}))

    def numeric(self, report: NumericReport, model_id: str, time_ns: int) -> None:  # noqa: ARG002 - not printed
        """The report's own text."""
        self._line(time_ns, report.name, report.graph_type, report.mode, report.text)

    def structured(
        self,
        report: StructuredReport,
        model_id: str,  # noqa: ARG002 - not printed
        time_ns: int,
        labels: Mapping[str, str],  # noqa: ARG002 - not printed
    ) -> None:
        """The report's own text."""
        self._line(time_ns, report.name, report.graph_type, report.mode, report.text)

    def event(self, event: EventReport) -> None:
        """``<type number>, <title>, <is alert>, <JSON>``."""
        said = {
            "agent": self._agent_id,
            "timestamp_ms": event.time_ns // 1_000_000,
            "alert_type": event.type_number,
            "title": event.title,
            "description": event.description,
            "data": _readable(event),
        }
        self._write(f"{event.type_number}, {event.title}, {event.is_alert}, {json.dumps(said)}")

    def kpi(self, point: KpiReport) -> None:
        """As a scalar."""
        self._line(point.time_ns, point.name, "LINEGRAPH", "TIME_SERIES", repr({point.name: point.value}))

    def publish(self, model: ModelToPublish) -> None:
        """Keep a copy until ``done()``, in a temporary directory; nothing is printed."""
        import tempfile
        from pathlib import Path

        from parallelm.mlops._models.outbox import Outbox

        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="mlops-models-"))
            self.published[model.model_id] = Outbox(self._folder, "stand-alone").put(model, {})

    def close(self) -> None:
        """Close the file and remove the copies of models."""
        with self._lock:
            for entry in self.published.values():
                entry.lock.release()
            self.published.clear()
            if self._folder is not None and self._owner == os.getpid():
                import shutil

                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            if self._file is not None:
                self._file.close()
                self._file = None

    def after_fork_in_child(self) -> None:
        """The models that the parent published stay the parent's to remove."""
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report

    def _line(self, time_ns: int, name: str, graph_type: str, mode: str, data: str) -> None:
        self._write(f"{time_ns}, {name}, {graph_type}, {mode}, {data} ")

    def _write(self, line: str) -> None:
        line = line.translate(_ESCAPED_ENDS)
        with self._lock:
            out = self._file or sys.stdout
            try:
                out.write(f"{line}\n")
            except UnicodeEncodeError:
                encoding = out.encoding or "ascii"
                out.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))
            if self._file is not None:
                self._file.flush()


def _readable(event: EventReport) -> object:
    if not event.payload:
        return None
    if event.content_type == "application/json":
        return json.loads(event.payload)
    return event.payload.decode("utf-8", "backslashreplace")

"""Stand-alone output: one line a report, on stdout or in the file that PM_MLOPS_FILE names.

Programs parse these lines: their form is part of the public contract. A line that cannot be written (stdout is closed
or missing, the disk is full) is dropped, counted and logged: the host program does not notice.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from parallelm.mlops._delivery.drops import DropCounter
from parallelm.mlops._outputs.output import Output
from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

    from parallelm.mlops._models.outbox import ModelToPublish, OutboxEntry
    from parallelm.mlops._outputs.output import ActualsReport, EventReport, KpiReport, PredictionsReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.schemas.series_key import SeriesKey


_ESCAPED_ENDS: Final = {ord(end): json.dumps(end)[1:-1] for end in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
"""Line breaks of ``str.splitlines``: names and titles may contain them, but each report is one line."""


_NOT_WRITTEN: Final = "not_written"
"""Reason of drops."""


class StandAloneOutput(Output):
    """Prints every report, or appends it to a file: each line by one call of the system, so that processes may share it."""

    def __init__(self, file: str, agent_id: str) -> None:
        self._agent_id = agent_id
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._dropped = DropCounter()
        self._file = _open(file) if file else None
        self._cut = self._file is not None and _ends_within_a_line(file)
        """The last line of the file is incomplete."""
        self._closed = False
        self._folder: Path | None = None
        self._owner = os.getpid()
        self._published: dict[str, OutboxEntry] = {}
        """Copies of the models that were published, by id."""

    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:
        """``{'name': value}``."""
        mode = "TIME_SERIES" if series.category == "TIME_SERIES" else "INSTANT"
        self._line(time_ns, series.name, series.graph_type, mode, repr({series.name: value}))

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
        shown = {
            "agent": self._agent_id,
            "timestamp_ms": event.time_ns // 1_000_000,
            "alert_type": event.type_number,
            "title": event.title,
            "description": event.description,
            "data": _readable(event),
        }
        self._write(f"{event.type_number}, {event.title}, {event.is_alert}, {json.dumps(shown)}")

    def kpi(self, point: KpiReport) -> None:
        """As a scalar."""
        self._line(point.time_ns, point.name, "LINEGRAPH", "TIME_SERIES", repr({point.name: point.value}))

    def predictions(self, report: PredictionsReport) -> None:
        """``{id: predicted}``, at the time of the first."""
        predicted = dict(zip(report.ids, report.classes or report.values, strict=True))
        self._line(report.times_ns[0], report.outcome, "PREDICTIONS", "TIME_SERIES", repr(predicted))

    def actuals(self, report: ActualsReport) -> None:
        """``{id: outcome}``, at the time of the first."""
        known = dict(zip(report.ids, report.values, strict=True))
        self._line(report.times_ns[0], report.outcome, "ACTUALS", "TIME_SERIES", repr(known))

    def publish(self, model: ModelToPublish) -> None:
        """Store a copy until ``done()``, in a temporary directory; nothing is printed."""
        import tempfile
        from pathlib import Path

        from parallelm.mlops._models.outbox import Outbox

        with self._lock:
            if self._folder is None:
                try:
                    self._folder = Path(tempfile.mkdtemp(prefix="mlops-models-"))
                except OSError as error:
                    raise MLOpsException(
                        f"the model cannot be copied to a temporary directory: {error}"
                    ) from error
            self._published[model.model_id] = Outbox(self._folder, "stand-alone").put(model, {})

    def published(self) -> Mapping[str, OutboxEntry]:
        """The copies, until ``done()``."""
        return self._published

    def dropped(self) -> dict[str, int]:
        """Number of lines that could not be written."""
        return self._dropped.total()

    def close(self) -> None:
        """Close the file, remove the copies of models, and log what was dropped since the last log line."""
        self._dropped.log()
        with self._lock:
            self._closed = True
            for entry in self._published.values():
                entry.lock.release()
            self._published.clear()
            if self._folder is not None and self._owner == os.getpid():
                import shutil

                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            if self._file is not None:
                with suppress(OSError):  # a network file system may report a failed write here
                    self._file.close()

    def interpreter_ends(self) -> None:
        """Discard the buffer of a stdout whose reader is gone (``program | head -1``).

        Otherwise Python would end the program with a message and exit status 120.
        """
        out = sys.__stdout__
        if self._file is not None or out is None or out is not sys.stdout:
            return
        try:
            out.flush()
        except BrokenPipeError:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - pathlib is not imported for this
                os.dup2(nowhere.fileno(), out.fileno())
        except (OSError, ValueError):  # a full disk, a closed file: left to Python to report
            return

    def after_fork_in_child(self) -> None:
        """Forget the parent's copies of models, which the parent removes."""
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report

    def _line(self, time_ns: int, name: str, graph_type: str, mode: str, data: str) -> None:
        self._write(f"{time_ns}, {name}, {graph_type}, {mode}, {data} ")

    def _write(self, line: str) -> None:
        line = f"{line.translate(_ESCAPED_ENDS)}\n"
        with self._lock:
            try:
                if self._closed:
                    raise ValueError("the library is closed")  # noqa: TRY301 - handled like a closed file
                if self._file is None:
                    _print(line)
                else:
                    self._append(self._file, line.encode("utf-8", "backslashreplace"))
            except Exception as error:  # noqa: BLE001 - a stream that replaces stdout may raise anything
                self._dropped.add(_NOT_WRITTEN, {"line": 1}, f"{type(error).__name__}: {error}")

    def _append(self, file: BinaryIO, line: bytes) -> None:
        """Write a line, after a newline if a full disk has cut the line before."""
        complete = b"\n" + line if self._cut else line
        written = file.write(complete) or 0
        if written < len(complete):
            self._cut = written > 1 if self._cut and written else self._cut or written > 0
            raise OSError(f"only {written} of {len(complete)} bytes were written")
        self._cut = False


def _open(file: str) -> BinaryIO:
    """Open the file that PM_MLOPS_FILE names, for appending, unbuffered."""
    try:
        return open(file, "ab", buffering=0)  # noqa: PTH123 - pathlib is not imported for this
    except (OSError, ValueError) as error:
        raise MLOpsException(f"PM_MLOPS_FILE names {file!r}, which cannot be written: {error}") from error


def _ends_within_a_line(file: str) -> bool:
    """Whether the last line is incomplete: its program was killed, or the disk was full."""
    try:
        if not os.path.isfile(file) or os.path.getsize(file) == 0:  # noqa: PTH113, PTH202 - pathlib is not imported for this
            return False
        with open(file, "rb") as written:  # noqa: PTH123 - as above
            written.seek(-1, os.SEEK_END)
            return written.read(1) != b"\n"
    except OSError:  # writable, but not readable
        return False


def _print(line: str) -> None:
    out = sys.stdout
    if out is None:
        raise OSError("there is no stdout")
    try:
        out.write(line)
    except UnicodeEncodeError:
        encoding = out.encoding or "ascii"
        out.write(line.encode(encoding, "backslashreplace").decode(encoding))


def _readable(event: EventReport) -> object:
    if not event.payload:
        return None
    if event.content_type == "application/json":
        return json.loads(event.payload)
    return event.payload.decode("utf-8", "backslashreplace")

"""Output to the platform: the caller's side. Everything that touches the network happens in the sender thread."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections.artifacts import artifacts_url
from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.drops import DropCounter
from parallelm.mlops._delivery.sender import Sender
from parallelm.mlops._delivery.topic_records import event_record, kpi_point, series_of, structured_statistic
from parallelm.mlops._delivery.waiting import RecordInWaiting, WaitingRecords
from parallelm.mlops._models.outbox import Outbox
from parallelm.mlops._models.uploads import Uploads
from parallelm.mlops._outputs.output import Output
from parallelm.mlops._reporting.samples import plain_series, queued_time_s
from parallelm.schemas import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.topic_records import MakeRecord
    from parallelm.mlops._models.outbox import ModelToPublish
    from parallelm.mlops._outputs.output import EventReport, KpiReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.mlops._reporting.samples import SampleQueue, SeriesKey
    from parallelm.mlops._session.environment import ComponentEnvironment
    from parallelm.schemas import records

_log = logging.getLogger("parallelm.mlops")

_PROBE_INTERVAL_S = 2.0
"""How often ``done()`` asks whether the broker is still there while models are uploaded."""


class KafkaOutput(Output):
    """Queues reports for the sender thread of this process, which starts with the first report."""

    def __init__(self, settings: Settings, environment: ComponentEnvironment, queue: SampleQueue) -> None:
        self._settings = settings
        self._environment = environment
        self._queue = queue
        self._closed = False
        self._outbox = Outbox(
            outbox_folder(settings), f"{settings.kafka.topic_prefix} {artifacts_url(settings.artifacts)}"
        )
        self._start_afresh()

    def _start_afresh(self) -> None:
        """A process of its own: nothing is sent here that another process has queued."""
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._queue.clear()
        self._queue.room = 0
        self._records = WaitingRecords()
        self._dropped = DropCounter()
        self._sender: Sender | None = None
        self._uploads: Uploads | None = None

    def after_fork_in_child(self) -> None:
        """Leave the parent's producer and its unsent reports to the parent."""
        if self._sender is not None:
            self._sender.leave_to_parent()
        self._start_afresh()

    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:
        """Queue one number."""
        self._append(series, float(value), queued_time_s(time_ns))

    def numeric(self, report: NumericReport, model_id: str, time_ns: int) -> None:
        """Queue numbers of one moment: one series a line, told apart by label ``line``."""
        for series, value in series_of(report, model_id):
            self._append(series, value, queued_time_s(time_ns))

    def structured(
        self, report: StructuredReport, model_id: str, time_ns: int, labels: Mapping[str, str]
    ) -> None:
        """Queue one structured statistic."""
        make = structured_statistic(report, model_id, time_ns, labels)
        self._record(topics.STRUCTURED_STATISTICS, make, report.size_bytes)

    def event(self, event: EventReport) -> None:
        """Queue one event."""
        self._record(topics.EVENTS, event_record(event), len(event.payload))

    def kpi(self, point: KpiReport) -> None:
        """Queue one point."""
        self._enqueue(kpi_point(point))

    def publish(self, model: ModelToPublish) -> None:
        """Copy into the outbox; the upload thread does the rest."""
        entry = self._outbox.put(model, self._environment.origin())
        self._ensure_uploads().add(entry)

    def send_left_behind(self) -> None:
        """Send what processes that are no more have left in the spool and in the outbox."""
        try:
            for entry in self._outbox.left_behind():
                self._ensure_uploads().add(entry)
        except OSError as error:
            _log.warning("models of earlier runs cannot be looked for: %s", error)
        spool = self._settings.component.spool_folder
        if spool and any(folder.is_dir() for folder in Path(spool).glob("*")):
            self._ensure_sender()

    def dropped(self) -> dict[str, int]:
        """What this process has dropped so far, by reason."""
        return self._dropped.total()

    def close(self) -> None:
        """Send what is there.

        Waits for uploads as long as a broker answers, ``upload_timeout_s`` at most; for everything else until no
        delivery succeeded for ``close_timeout_s``. All in all ``close_timeout_s`` when the broker is away.
        """
        patience_s = self._settings.component.close_timeout_s
        if self._uploads is not None and self._sender is not None:
            if not self._wait_for_uploads(self._uploads, self._sender, patience_s / 2):
                patience_s /= 2
            self._uploads.stop()
        with self._lock:
            self._closed = True
            sender = self._sender
        if sender is not None:
            sender.close(patience_s)

    def _wait_for_uploads(self, uploads: Uploads, sender: Sender, probe_timeout_s: float) -> bool:
        """False when that was given up because no broker answers."""
        last = time.monotonic() + self._settings.component.upload_timeout_s
        while not uploads.wait(0) and (left_s := last - time.monotonic()) > 0:
            if not sender.broker_answers(probe_timeout_s):
                return False
            uploads.wait(min(left_s, _PROBE_INTERVAL_S))
        return True

    def _append(self, series: SeriesKey, value: float, time_s: float) -> None:
        """Queue a sample: under its bare name where callers queue it so, too, or the two would change places."""
        name = series[0]
        queued = name if series == plain_series(name) else series
        if self._ensure_sender() and len(self._queue) < self._queue.room:
            self._queue.append((queued, value, time_s))
        else:
            self._dropped.add(drops.QUEUE_FULL, 1)

    def _announce(self, make: MakeRecord, delivered: Callable[[], None]) -> None:
        """Never dropped for want of room: a model's announcement waits in the outbox anyway."""
        if self._ensure_sender():
            with self._lock:
                self._records.add(RecordInWaiting(topics.MODELS, make, delivered))

    def _record(self, topic: topics.Topic, make: MakeRecord, size_bytes: int) -> None:
        self._enqueue(RecordInWaiting(topic, make, size_bytes=size_bytes))

    def _enqueue(self, waiting: RecordInWaiting | records.KpiPoint) -> None:
        if self._ensure_sender() and self._records.has_room():
            with self._lock:
                self._records.add(waiting)
        else:
            self._dropped.add(drops.QUEUE_FULL, 1)

    def _ensure_uploads(self) -> Uploads:
        self._ensure_sender()
        with self._lock:
            if self._uploads is None:
                self._uploads = Uploads(self._settings, self._outbox, self._announce)
                self._uploads.start()
            return self._uploads

    def _ensure_sender(self) -> bool:
        """Start this process's sender thread; False when none can be had any more."""
        if self._sender is not None:
            return True
        with self._lock:
            if self._sender is None and not self._closed:
                sender = Sender(self._settings, self._environment, self._queue, self._records, self._dropped)
                try:
                    sender.start()
                except RuntimeError:  # the interpreter is shutting down
                    return False
                self._sender = sender
                self._queue.room = self._settings.component.queue_max_samples
                _close_at_exit_of_a_child(self)
        return self._sender is not None


def outbox_folder(settings: Settings) -> Path:
    """Where published models wait."""
    configured = settings.component.outbox_folder
    if configured:
        return Path(configured)
    try:
        return Path.home() / ".mcenter" / "outbox"
    except RuntimeError:  # a container's user without a home
        return Path(tempfile.gettempdir()) / "mcenter-outbox"


def _close_at_exit_of_a_child(output: KafkaOutput) -> None:
    """Children of multiprocessing end without ``atexit``: they run its finalizers instead."""
    import sys

    if "multiprocessing.process" not in sys.modules:
        return
    from multiprocessing.process import parent_process

    if parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, output.close, exitpriority=0)

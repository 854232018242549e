"""Output to the platform: the caller's side. Everything that touches the network happens in the sender thread."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from parallelm.connections.artifacts import public_artifacts_url
from parallelm.connections.outbox_folder import outbox_folder
from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.broker_away import POLL_S, Patience
from parallelm.mlops._delivery.drops import DropCounter, named
from parallelm.mlops._delivery.encoding.encoder import Inbox
from parallelm.mlops._delivery.encoding.topic_records import (
    actuals_record,
    event_record,
    kpi_point,
    predictions_record,
    series_of,
    structured_statistic,
)
from parallelm.mlops._delivery.host_process.forking import no_fork
from parallelm.mlops._delivery.host_process.worker_end import (
    after_fork_in_child,
    close_before_forked_worker_ends,
    close_before_worker_ends,
)
from parallelm.mlops._delivery.obstacles import Obstacles
from parallelm.mlops._delivery.sender import Sender
from parallelm.mlops._delivery.waiting import RecordInWaiting, WaitingRecords, contents
from parallelm.mlops._models.outbox import Outbox
from parallelm.mlops._models.uploads import Uploads
from parallelm.mlops._outputs.output import Output
from parallelm.mlops._reporting.samples import queued_time_s
from parallelm.schemas import topics
from parallelm.schemas.series_key import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.encoding.topic_records import MakeRecord
    from parallelm.mlops._models.outbox import ModelToPublish
    from parallelm.mlops._outputs.output import ActualsReport, EventReport, KpiReport, PredictionsReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.mlops._reporting.samples import SampleQueue
    from parallelm.mlops._session.environment import ComponentEnvironment
    from parallelm.schemas import records

_TEXT_BYTES = 60
"""Of a text in a list, without its characters."""
_NUMBERS_BYTES = 80
"""Of a time and a number in their lists."""

_log = logging.getLogger("parallelm.mlops")


class KafkaOutput(Output):
    """Queues reports for the sender thread of this process, which connects as soon as the library is open."""

    def __init__(self, settings: Settings, environment: ComponentEnvironment, queue: SampleQueue) -> None:
        self._settings = settings
        self._environment = environment
        self._queue = queue
        self._closed = False
        self._outbox = Outbox(
            outbox_folder(settings.component),
            f"{settings.kafka.topic_prefix} {public_artifacts_url(settings.artifacts)}",
            settings.artifacts.signing_key,
        )
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Set up the state of this process, which sends nothing that another process has queued."""
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._queue.clear()
        self._queue.room = 0
        self._records = WaitingRecords()
        self._dropped = DropCounter()
        self._obstacles = Obstacles()
        self._sender: Sender | None = None
        self._uploads: Uploads | None = None

    def after_fork_in_child(self) -> None:
        """Leave the parent's producer and its unsent reports to the parent."""
        no_fork.after_fork_in_child()
        after_fork_in_child()
        had_sender = self._sender is not None
        if self._sender is not None:
            self._sender.leave_to_parent()
        self._start_afresh()
        if had_sender and self._ensure_sender():
            limit_s = self._settings.component.close_timeout_s
            close_before_forked_worker_ends(self, self.close, limit_s)

    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:
        """Queue one number."""
        self._append(self._queued_as(series), float(value), queued_time_s(time_ns))

    def numeric(self, report: NumericReport, model_id: str, time_ns: int) -> None:
        """Queue numbers with one event time: one series for each line, distinguished by the label ``line``."""
        self.numerics([report], model_id, time_ns)

    def numerics(self, reports: Sequence[NumericReport], model_id: str, time_ns: int) -> None:
        """Queue reports that belong together at once, so that the sender takes all of them into one record."""
        time_s = queued_time_s(time_ns)
        samples = [
            (self._queued_as(series), value, time_s)
            for report in reports
            for series, value in series_of(report, model_id)
        ]
        if self._ensure_sender() and len(self._queue) + len(samples) <= self._queue.room:
            self._queue.extend(samples)  # of a list: no other thread runs in between
        else:
            for series, value, _ in samples:
                self._append(series, value, time_s)

    def structured(
        self, report: StructuredReport, model_id: str, time_ns: int, labels: Mapping[str, str]
    ) -> None:
        """Queue one structured statistic."""
        make = structured_statistic(report, model_id, time_ns, labels)
        self._record(topics.STRUCTURED_STATISTICS, make, report.size_bytes, named("statistic", report.name))

    def event(self, event: EventReport) -> None:
        """Queue one event."""
        self._record(topics.EVENTS, event_record(event), _size_bytes(event), named("event", event.title))

    def kpi(self, point: KpiReport) -> None:
        """Queue one point."""
        self._enqueue(kpi_point(point))

    def predictions(self, report: PredictionsReport) -> None:
        """Queue one record of predictions."""
        texts = [report.ids, report.classes, *report.features.values()]
        self._record(
            topics.PREDICTIONS,
            predictions_record(report),
            _size_of_texts(texts) + _NUMBERS_BYTES * len(report.ids),
            f"{len(report.ids)} predictions of {report.outcome!r}",
        )

    def actuals(self, report: ActualsReport) -> None:
        """Queue one record of outcomes."""
        self._record(
            topics.ACTUALS,
            actuals_record(report),
            _size_of_texts([report.ids, report.values]) + _NUMBERS_BYTES * len(report.ids),
            f"{len(report.ids)} outcomes of {report.outcome!r}",
        )

    def publish(self, model: ModelToPublish) -> None:
        """Copy into the outbox; the upload thread does the rest."""
        entry = self._outbox.put(model, self._environment.origin())
        self._ensure_uploads().add(entry)

    def open(self) -> None:
        """Connect, in the sender thread, and send what ended processes have left in spool and outbox."""
        self._ensure_sender()
        try:
            for entry in self._outbox.left_behind():
                self._ensure_uploads().add(entry)
        except OSError as error:
            _log.warning("models of earlier runs cannot be looked for: %s", error)

    def dropped(self) -> dict[str, int]:
        """What this process has dropped so far, by reason."""
        return self._dropped.total()

    def close(self) -> None:
        """Send everything, within the limits that ``broker_away`` states.

        Waits for uploads while they make progress, at most ``upload_timeout_s``; for everything else until no delivery
        succeeded for ``close_timeout_s``. Takes ``close_timeout_s`` in total when nothing can be delivered. May be called
        again after an interruption. Takes no lock, since it may run at SIGTERM, in any thread.
        """
        component = self._settings.component
        patience_s = component.close_timeout_s
        self._closed = True
        if self._uploads is not None and self._sender is not None and not self._uploads.is_stopped:
            if not self._wait_for_uploads(self._uploads, self._sender):
                patience_s /= 2
            self._stop_uploads(self._uploads)
        if self._sender is not None:
            self._sender.close(Patience(patience_s, component.upload_timeout_s))

    def abandon(self) -> None:
        """Send nothing more, and count the rest as dropped."""
        self._closed = True
        if self._uploads is not None and not self._uploads.is_stopped:
            self._stop_uploads(self._uploads)
        if self._sender is not None:
            self._sender.abandon()

    def _wait_for_uploads(self, uploads: Uploads, sender: Sender) -> bool:
        """Whether to give the sender a full ``close_timeout_s``; False if half of it passed without progress."""
        component = self._settings.component
        patience = Patience(component.close_timeout_s / 2, component.upload_timeout_s)
        while not uploads.wait(POLL_S):
            if uploads.is_hopeless:
                return True
            if patience.left_s(max(uploads.progress, sender.delivery.progress.latest)) <= 0:
                return False
        return True

    def _stop_uploads(self, uploads: Uploads) -> None:
        uploads.stop()
        if left := uploads.left():
            reason = uploads.reason() or self._obstacles.reason() or "time ran out"
            _log.warning(
                "models wait in the outbox %s, and the next init() sends them: %s (%s)",
                outbox_folder(self._settings.component),
                ", ".join(left),
                reason,
            )

    @staticmethod
    def _queued_as(series: SeriesKey) -> SeriesKey | str:
        """A plain series is queued under its bare name, as ``set_stat`` does, so that the two stay in order."""
        return series.name if series == SeriesKey(series.name) else series

    def _append(self, series: SeriesKey | str, value: float, time_s: float) -> None:
        if self._ensure_sender() and len(self._queue) < self._queue.room:
            self._queue.append((series, value, time_s))
        else:
            self._drop({named("statistic", series if isinstance(series, str) else series.name): 1})

    def _drop(self, reports: Mapping[str, int]) -> None:
        if self._closed:
            self._dropped.add(drops.CLOSED, reports, "reported after done()")
        else:
            self._dropped.add(drops.QUEUE_FULL, reports, self._obstacles.reason())

    def _announce(self, make: MakeRecord, delivered: Callable[[], None], name: str) -> None:
        """Queue an announcement. It is never dropped for lack of room, since the model stays in the outbox anyway."""
        if self._ensure_sender():
            with self._lock:
                self._records.add(RecordInWaiting(topics.MODELS, make, delivered, what=named("model", name)))

    def _record(self, topic: topics.Topic, make: MakeRecord, size_bytes: int, what: str) -> None:
        self._enqueue(RecordInWaiting(topic, make, size_bytes=size_bytes, what=what))

    def _enqueue(self, waiting: RecordInWaiting | records.KpiPoint) -> None:
        if self._ensure_sender() and not self._closed and self._records.has_room():
            with self._lock:
                self._records.add(waiting)
        else:
            self._drop(contents(waiting))

    def _ensure_uploads(self) -> Uploads:
        self._ensure_sender()
        with self._lock:
            if self._uploads is None:
                self._uploads = Uploads(self._settings, self._outbox, self._announce)
                self._uploads.start()
            return self._uploads

    def _ensure_sender(self) -> bool:
        """Start this process's sender thread; False if no thread can be started."""
        if self._sender is not None:
            return True
        with self._lock:
            if self._sender is None and not self._closed:
                inbox = Inbox(self._queue, self._records)
                sender = Sender(self._settings, self._environment, inbox, self._dropped, self._obstacles)
                self._sender = sender  # before it starts: a signal may come in the middle
                try:
                    sender.start()
                except RuntimeError:  # the interpreter is shutting down, or has no thread to spare
                    self._sender = None
                    return False
                self._queue.room = self._settings.component.queue_max_samples
                close_before_worker_ends(self.close, self._settings.component.close_timeout_s)
        return self._sender is not None


def _size_of_texts(columns: Sequence[Sequence[str]]) -> int:
    """Approximate size in memory."""
    return sum(_TEXT_BYTES * len(column) + sum(map(len, column)) for column in columns)


def _size_bytes(event: EventReport) -> int:
    return len(event.payload) + len(event.title) + len(event.description or "")

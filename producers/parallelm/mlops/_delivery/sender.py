"""The sender thread: one daemon in each process that reports, between the queues and librdkafka.

It never delays the host program: callers only append. ``encoding`` and ``delivery`` are its two halves;
``broker_away`` states what happens when nothing can be delivered.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

from parallelm.connections.rate_limit import RateLimit
from parallelm.connections.settings import ConfigurationError
from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.broker_away import (
    DROP_REPORT_INTERVAL_S,
    POLL_S,
    RETRY_S,
    Patience,
)
from parallelm.mlops._delivery.delivery import Delivery, Progress
from parallelm.mlops._delivery.encoding.encoder import Encoder, Inbox, Speaker
from parallelm.mlops._delivery.host_process.safe_event import SafeEvent
from parallelm.mlops._delivery.obstacles import Obstacles, Stage
from parallelm.schemas import records
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.series_key import SeriesKey

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._delivery.spool.route import SpoolRoute
    from parallelm.mlops._session.environment import ComponentEnvironment

_log = logging.getLogger("parallelm.mlops")

_RECORDS_A_ROUND = 100


class Sender(threading.Thread):
    """Drains the queues every flush interval."""

    def __init__(
        self,
        settings: Settings,
        environment: ComponentEnvironment,
        inbox: Inbox,
        dropped: DropCounter,
        obstacles: Obstacles,
    ) -> None:
        super().__init__(name="mlops-sender", daemon=True)
        self._settings = settings
        self._inbox = inbox
        self._dropped = dropped
        self._obstacles = obstacles
        speaker = Speaker(records.Origin(**environment.origin()), uuid.uuid4().hex)
        progress = Progress()
        spool = _spool_route(settings, speaker, progress, dropped)
        self.delivery = Delivery(settings, spool, dropped, obstacles, progress)
        self._encoder = Encoder(settings, speaker, inbox, self.delivery.keep, dropped, obstacles)
        self._log_limit = RateLimit()
        self._last_drop_report = 0.0
        self._stopping = SafeEvent()
        self._abandoned = SafeEvent()
        self._ended = SafeEvent()

    def close(self, patience: Patience) -> None:
        """Send everything and end; when ``patience`` ends, give up and count the rest as dropped.

        May be interrupted and called again: the thread continues meanwhile.
        """
        self._stopping.set()
        if self._abandoned.is_set():
            return
        progress = self.delivery.progress
        probed = False
        while (left_s := patience.left_s(progress.latest)) > 0:
            if self._ended.wait(min(POLL_S, left_s)):
                self._dropped.log()
                return
            if not probed and left_s < patience.total_s / 2 and not self._obstacles.reason():
                probed = True
                self.delivery.probe(left_s / 2)
        self.abandon()

    def abandon(self) -> None:
        """End at once, and count the rest as dropped."""
        if self._ended.is_set() or self._abandoned.is_set():
            return
        self._stopping.set()
        self._encoder.close()
        self.delivery.abandon()
        self._abandoned.set()
        reason = self._obstacles.reason() or self.delivery.why_not_confirmed()
        self._dropped.add(drops.CLOSED, self._encoder.left() + self.delivery.left(), reason)
        self._dropped.log()
        if self.delivery.spool is not None and (waiting := self.delivery.spool.own.unsettled):
            folder = self._settings.component.spool_folder
            _log.warning(
                "%d records wait in the spool %s, and the next init() sends them: %s", waiting, folder, reason
            )

    def leave_to_parent(self) -> None:
        """In a forked child: leave spool and producer alone."""
        self.delivery.leave_to_parent()

    # ---- the thread ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Send until asked to stop, then send the rest."""
        interval_s = self._settings.component.flush_interval_ms / 1000
        self._step_safely()
        while not self._stopping.wait(interval_s):
            self._step_safely()
        self._send_rest()
        self._report_drops()
        self._send_rest()
        if self.delivery.spool is not None:
            self.delivery.spool.stop()
        self._ended.set()
        self.delivery.close()

    def _send_rest(self) -> None:
        while not (self._is_done() or self._abandoned.is_set()):
            self._step_safely()
            self.delivery.flush(POLL_S)

    def _is_done(self) -> bool:
        return not (self._inbox.samples or self._inbox.records) and self.delivery.is_done

    def _step_safely(self) -> None:
        try:
            self._step()
        except ConfigurationError as error:
            self._obstacles.found(Stage.CLIENT, str(error))
        except SchemaError as error:
            self._obstacles.found(Stage.ENCODING, str(error))
        except Exception:  # noqa: BLE001 - the host program must not notice; the next step tries again
            if self._log_limit.allows():
                _log.exception("reports cannot be sent now; they wait, and sending is tried again")
        else:
            return
        if self._stopping.is_set():
            self._abandoned.wait(POLL_S)
        else:
            self._stopping.wait(RETRY_S)

    def _step(self) -> None:
        producer = self.delivery.connect()
        self.delivery.warm_up()
        producer.poll(0)
        self._report_drops()
        # Only what is queued now: with a caller that reports all the time, draining until the queue is empty would make
        # records of one sample each.
        samples, others = len(self._inbox.samples), len(self._inbox.records)
        while (self.delivery.send(producer) or self.delivery.spool_has_room()) and (
            samples > 0 or others > 0
        ):
            if samples > 0:
                samples -= self._encoder.encode_samples(samples) or samples
            for _ in range(min(others, _RECORDS_A_ROUND)):
                others -= self._encoder.encode_first() or others
        if self.delivery.spool is not None:
            self.delivery.spool.tend()

    def _report_drops(self) -> None:
        """Report to the platform what was dropped, once a broker takes records again."""
        now, last_delivery = time.monotonic(), self.delivery.progress.delivery
        soon = now - self._last_drop_report < DROP_REPORT_INTERVAL_S and not self._stopping.is_set()
        if soon or self.delivery.backlog or last_delivery <= self._last_drop_report:
            return
        self._last_drop_report = now
        for reason, count in self._dropped.take_unreported().items():
            series = SeriesKey(drops.METRIC, labels=(("reason", reason),))
            self._inbox.samples.append((series, float(count), time.time()))


def _spool_route(
    settings: Settings, speaker: Speaker, progress: Progress, dropped: DropCounter
) -> SpoolRoute | None:
    if not settings.component.spool_folder:
        return None
    from parallelm.mlops._delivery.spool.route import SpoolRoute

    return SpoolRoute(settings, speaker.producer_id, progress.note, dropped)

"""The upload thread: uploads models from the outbox to the artifact store, and only then announces them."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from parallelm.connections.artifacts import (
    artifact_url,
    artifacts_url,
    filesystem,
    public_artifacts_url,
    store_error,
)
from parallelm.connections.artifacts.create_only import ArtifactExistsError, put_new
from parallelm.connections.rate_limit import RateLimit
from parallelm.connections.secrets import redacted
from parallelm.connections.settings import ConfigurationError
from parallelm.mlops._delivery.broker_away import FIRST_UPLOAD_RETRY_S, LONGEST_UPLOAD_RETRY_S
from parallelm.mlops._delivery.drops import named
from parallelm.mlops._delivery.encoding.topic_records import model_announcement
from parallelm.mlops._delivery.host_process.forking import no_fork
from parallelm.mlops._delivery.host_process.safe_event import SafeEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.encoding.topic_records import MakeRecord
    from parallelm.mlops._models.outbox import Outbox, OutboxEntry

_log = logging.getLogger("parallelm.mlops")


class Uploads(threading.Thread):
    """Uploads one entry after the other, with growing pauses between attempts, and queues their announcements.

    ``announce(make, delivered, name)`` queues the record that ``make(…)`` gives and calls ``delivered`` once a broker
    has it: only then does the entry leave the outbox. An interrupted upload is repeated; an existing artifact is never
    overwritten.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        announce: Callable[[MakeRecord, Callable[[], None], str], None],
    ) -> None:
        super().__init__(name="mlops-uploads", daemon=True)
        if sys.version_info[:2] == (3, 12) and not artifacts_url(settings.artifacts).startswith("file:"):
            # This version of Python starts no thread at exit, and the event loop of S3, GCS and the like needs one.
            from fsspec.asyn import get_loop

            get_loop()
        self._settings = settings
        self._outbox = outbox
        self._announce = announce
        self._entries: queue.SimpleQueue[OutboxEntry | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._unfinished: dict[str, OutboxEntry] = {}
        self._stopping = SafeEvent()
        self._log_limit = RateLimit()
        self._probe = _StoreProbe()
        self._is_uploading = False
        self.obstacle = ""
        """Why the store refuses the first entry; empty if it does not."""
        self.is_hopeless = False
        """Whether retrying cannot help, only other settings."""
        self.progress = 0.0
        """When an entry last made progress, or the store last answered during an upload; on the monotonic clock."""

    def start(self) -> None:
        """Start this thread and the probe: at exit no thread can be started."""
        self._probe.start()
        super().start()

    def add(self, entry: OutboxEntry) -> None:
        """Upload ``entry`` when its turn comes."""
        with self._changed:
            self._unfinished[entry.manifest["model_id"]] = entry
        self._entries.put(entry)

    def wait(self, timeout_s: float) -> bool:
        """Wait until every entry has arrived at the platform; False on time-out."""
        _let_asynchronous_stores_work_at_exit()
        if self._is_uploading and not self.obstacle:
            self.progress = max(self.progress, self._probe.ask())
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, timeout_s)

    def stop(self) -> None:
        """Stop uploading. The rest stays in the outbox for the next ``init()``."""
        self._stopping.set()
        self._entries.put(None)

    @property
    def is_stopped(self) -> bool:
        """Whether uploading has stopped."""
        return self._stopping.is_set()

    def left(self) -> list[str]:
        """What has not arrived, as the log shows it."""
        entries = list(self._unfinished.values())
        return [
            named("model", one.manifest["name"] or one.manifest["model_id"], one.manifest["size_bytes"])
            for one in entries
        ]

    def reason(self) -> str:
        """Why entries are not uploaded; empty when the store is not the cause."""
        if self._is_uploading and not self.obstacle:
            return f"the artifact store {public_artifacts_url(self._settings.artifacts)!r} has not answered in time"
        return self.obstacle

    def run(self) -> None:
        """Upload until asked to stop."""
        while (entry := self._entries.get()) is not None and not self._stopping.is_set():
            if self._upload_at_last(entry):
                self.progress = time.monotonic()
                name = str(entry.manifest["name"] or entry.manifest["model_id"])
                self._announce(
                    model_announcement(entry.manifest, self._url(entry)), partial(self._arrived, entry), name
                )

    def _upload_at_last(self, entry: OutboxEntry) -> bool:
        pause_s = FIRST_UPLOAD_RETRY_S
        while not self._stopping.is_set():
            self._is_uploading = True
            try:
                self._upload(entry)
            except ArtifactExistsError as error:
                self._refused(entry, error)
                return False
            except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like; it is tried again
                self.is_hopeless = isinstance(error, ConfigurationError)
                where = public_artifacts_url(self._settings.artifacts)
                self.obstacle = (
                    f"the artifact store {where!r}: {store_error(self._settings.artifacts, error)}"
                )
                self._log_retry(entry)
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_UPLOAD_RETRY_S)
            else:
                self.obstacle, self.is_hopeless = "", False
                return True
            finally:
                self._is_uploading = False
        return False

    def _upload(self, entry: OutboxEntry) -> None:
        with no_fork:
            store, path = filesystem(self._settings.artifacts, self._url(entry))
        _let_asynchronous_stores_work_at_exit()
        self._probe.set_target(store, path)
        put_new(store, path, entry.artifact, entry.manifest)

    def _url(self, entry: OutboxEntry) -> str:
        manifest = entry.manifest
        return artifact_url(
            self._settings.artifacts,
            manifest["origin"]["mlapp_id"],
            manifest["model_id"],
            manifest["file_name"],
        )

    def _arrived(self, entry: OutboxEntry) -> None:
        try:
            self._outbox.remember(entry)
            self._outbox.remove(entry)
        except OSError as error:
            _log.warning("model %s arrived, but stays in the outbox: %s", entry.manifest["model_id"], error)
        self._finished(entry)

    def _refused(self, entry: OutboxEntry, error: ArtifactExistsError) -> None:
        try:
            where = str(self._outbox.set_aside(entry))
        except OSError as failure:
            where = f"{entry.folder} ({failure})"
        _log.error(
            "model %s is not published: %s. Its copy is in %s", entry.manifest["model_id"], error, where
        )
        self._finished(entry)

    def _finished(self, entry: OutboxEntry) -> None:
        with self._changed:
            self._unfinished.pop(entry.manifest["model_id"], None)
            self._changed.notify_all()

    def _log_retry(self, entry: OutboxEntry) -> None:
        if self._log_limit.allows():
            _log.warning(
                "model %s waits in the outbox, and is tried again: %s",
                entry.manifest["model_id"],
                self.obstacle,
            )


class _StoreProbe(threading.Thread):
    """Asks a store whether it is reachable, in its own thread, since it may never answer."""

    def __init__(self) -> None:
        super().__init__(name="mlops-store-probe", daemon=True)
        self._asked: queue.SimpleQueue[None] = (
            queue.SimpleQueue()
        )  # which a signal handler may put into at any moment
        self._where: tuple[Any, str] | None = None
        self._answered = 0.0

    def set_target(self, store: Any, path: str) -> None:
        """Set the store and path to ask about."""
        self._where = (store, path)

    def ask(self) -> float:
        """Ask, unless a request is pending; returns the time of the last answer, on the monotonic clock."""
        if self._asked.empty():
            self._asked.put(None)
        return self._answered

    def run(self) -> None:
        """Send each request."""
        while True:
            self._asked.get()
            if self._where is not None:
                store, path = self._where
                try:
                    store.exists(path)
                except (FileNotFoundError, PermissionError):
                    self._answered = time.monotonic()
                except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
                    _log.debug("the artifact store does not answer: %s", redacted(error))
                else:
                    self._answered = time.monotonic()


class _InlineExecutor(ThreadPoolExecutor):
    """Runs each call in the submitting thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the call; its future is done on return."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future carries it, as an executor's does
            future.set_exception(error)
        return future


def _let_asynchronous_stores_work_at_exit() -> None:
    """At exit, give the event loop of S3, GCS and the like an executor that still works.

    Other executors refuse calls then, so a store that resolves its host's name in the loop's executor would always fail.
    Blocking the loop for a look-up does no harm at exit.
    """
    if "fsspec.asyn" not in sys.modules or threading.main_thread().is_alive():
        return
    from fsspec.asyn import get_loop

    loop = get_loop()
    loop.call_soon_threadsafe(loop.set_default_executor, _InlineExecutor())

"""The upload thread: from the outbox to the artifact store, then the announcement. Never the other way round."""

from __future__ import annotations

import logging
import queue
import re
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from parallelm.connections.artifacts import artifacts_url, filesystem
from parallelm.mlops._delivery.drops import LOG_INTERVAL_S
from parallelm.mlops._delivery.forking import no_fork
from parallelm.mlops._delivery.topic_records import model_announcement
from parallelm.mlops._models.create_only import ArtifactExistsError, put_new

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.mlops._models.outbox import Outbox, OutboxEntry

_log = logging.getLogger("parallelm.mlops")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class Uploads(threading.Thread):
    """Uploads one entry after the other, trying again with growing pauses, and hands over their announcements.

    ``announce(make, delivered)`` queues the record that ``make(…)`` gives and calls ``delivered`` once a broker has it:
    only then does the entry leave the outbox. An upload that was cut short is repeated; an artifact that is there is
    never written again.
    """

    def __init__(
        self, settings: Settings, outbox: Outbox, announce: Callable[[Any, Callable[[], None]], None]
    ) -> None:
        super().__init__(name="mlops-uploads", daemon=True)
        if sys.version_info[:2] == (3, 12) and not artifacts_url(settings.artifacts).startswith("file:"):
            # This version starts no thread once the program has ended, and the loop of S3, GCS and the like is one.
            from fsspec.asyn import get_loop

            get_loop()
        self._settings = settings
        self._outbox = outbox
        self._announce = announce
        self._entries: queue.SimpleQueue[OutboxEntry | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._unfinished = 0
        self._stopping = threading.Event()
        self._last_log = -LOG_INTERVAL_S

    def add(self, entry: OutboxEntry) -> None:
        """Upload ``entry`` when its turn comes."""
        with self._changed:
            self._unfinished += 1
        self._entries.put(entry)

    def wait(self, timeout_s: float) -> bool:
        """Wait until every entry has arrived at the platform; False when the time was not enough."""
        _let_asynchronous_stores_work_at_exit()
        with self._changed:
            return self._changed.wait_for(lambda: self._unfinished == 0, timeout_s)

    def stop(self) -> None:
        """Upload no more. What is left stays in the outbox for the next ``init()``."""
        self._stopping.set()
        self._entries.put(None)

    def run(self) -> None:
        """Upload until told to stop."""
        while (entry := self._entries.get()) is not None and not self._stopping.is_set():
            if self._upload_at_last(entry):
                self._announce(
                    model_announcement(entry.manifest, self._url(entry)), partial(self._arrived, entry)
                )

    def _upload_at_last(self, entry: OutboxEntry) -> bool:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._upload(entry)
            except ArtifactExistsError as error:
                self._refused(entry, error)
                return False
            except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like; it is tried again
                self._say(entry, error)
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return True
        return False

    def _upload(self, entry: OutboxEntry) -> None:
        with no_fork:
            store, path = filesystem(self._settings.artifacts, self._url(entry))
        _let_asynchronous_stores_work_at_exit()
        put_new(store, path, entry.artifact, entry.manifest)

    def _url(self, entry: OutboxEntry) -> str:
        root = artifacts_url(self._settings.artifacts).rstrip("/")
        parts = (
            entry.manifest["origin"]["mlapp_id"],
            entry.manifest["model_id"],
            entry.manifest["file_name"],
        )
        return "/".join((root, *map(_path_part, parts)))

    def _arrived(self, entry: OutboxEntry) -> None:
        try:
            self._outbox.remember(entry)
            self._outbox.remove(entry)
        except OSError as error:
            _log.warning("model %s arrived, but stays in the outbox: %s", entry.manifest["model_id"], error)
        self._finished()

    def _refused(self, entry: OutboxEntry, error: ArtifactExistsError) -> None:
        try:
            where = str(self._outbox.set_aside(entry))
        except OSError as failure:
            where = f"{entry.folder} ({failure})"
        _log.error(
            "model %s is not published: %s. Its copy is in %s", entry.manifest["model_id"], error, where
        )
        self._finished()

    def _finished(self) -> None:
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    def _say(self, entry: OutboxEntry, error: Exception) -> None:
        now = time.monotonic()
        if now - self._last_log >= LOG_INTERVAL_S:
            self._last_log = now
            _log.warning("model %s is not uploaded yet, trying again: %s", entry.manifest["model_id"], error)


class _InlineExecutor(ThreadPoolExecutor):
    """Runs each call where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done already."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is handed on, as an executor does
            future.set_exception(error)
        return future


def _let_asynchronous_stores_work_at_exit() -> None:
    """Once the main thread has ended, give the event loop of S3, GCS and the like an executor that still works.

    All others take no more calls then, and a store that looks up its host's name in the loop's would fail with every
    attempt. Nobody minds any more that the loop waits for a name.
    """
    if "fsspec.asyn" not in sys.modules or threading.main_thread().is_alive():
        return
    from fsspec.asyn import get_loop

    loop = get_loop()
    loop.call_soon_threadsafe(loop.set_default_executor, _InlineExecutor())


def _path_part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".") or "_"

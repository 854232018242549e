"""What a running server does by itself, hourly: it deletes captures that are kept no longer.

Every process of an installation does so; what another one has deleted meanwhile is no error.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from parallelm.connections.errors import ConfigurationError
from parallelm.operations.authors import author_of_command
from parallelm.operations.captures import delete_expired
from parallelm.operations.errors import CaptureError
from parallelm.schemas.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings

_LOG = logging.getLogger(__name__)
INTERVAL_S: Final = 3600.0
_STOP_S: Final = 5.0


@contextmanager
def keeping_house(settings: Settings, interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Do so now and after every interval, in a thread, until the block ends."""
    ended = threading.Event()

    def run() -> None:
        while True:
            delete_expired_captures(settings)
            if ended.wait(interval_s):
                return

    thread = threading.Thread(target=run, name="housekeeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_STOP_S)


def delete_expired_captures(settings: Settings) -> None:
    """Once, as the user that runs the server; a store or a broker that does not answer is asked again the next time."""
    try:
        for gone in delete_expired(settings, who=author_of_command(settings)):
            _LOG.info("deleted capture %s of MLApp %s: it had expired", gone.capture_id, gone.mlapp_id)
    except (CaptureError, ConfigurationError, SchemaError) as error:
        _LOG.warning("expired captures could not be deleted: %s", error)

"""Looks after a client while its statement runs: it may cancel, vanish, or talk out of turn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from parallelm.mcenter.engine.errors import EngineError
from parallelm.mcenter.engine.wire import ProtocolError, readable

if TYPE_CHECKING:
    import socket

    from parallelm.mcenter.engine.engine import Connection
    from parallelm.mcenter.engine.wire import Reader

log = logging.getLogger(__name__)

CANCEL = 3


class Watch:
    """``look`` may be called from the engine's progress callback: it raises nothing, ``settle`` does."""

    def __init__(self, client: socket.socket, reader: Reader, connection: Connection) -> None:
        self._client = client
        self._reader = reader
        self._connection = connection
        self._failure: Exception | None = None
        self.cancelled = False

    @property
    def ended(self) -> bool:
        """Whether nobody wants the rest of the answer."""
        return self.cancelled or self._failure is not None

    def look(self) -> None:
        """See whether the client has sent something, and end its statement if so."""
        if self.ended or not (self._reader.buffered or readable(self._client)):
            return
        try:
            if self._reader.varint() == CANCEL:
                self.cancelled = True
            else:
                self._failure = ProtocolError("a client may send nothing but Cancel while it is answered")
        except (EOFError, OSError, ProtocolError) as error:
            self._failure = error
        self._kill()

    def fail(self, error: Exception) -> None:
        """Note that the client cannot be reached, and end its statement."""
        if not self.ended:
            self._failure = error
            self._kill()

    def settle(self) -> None:
        """Raise what ``look`` or ``fail`` found wrong with the client."""
        if self._failure is not None:
            raise self._failure

    def _kill(self) -> None:
        try:
            self._connection.kill()
        except EngineError as error:
            log.warning("a statement that nobody waits for could not be ended: %s", error)

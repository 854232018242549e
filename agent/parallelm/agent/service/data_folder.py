"""The agent's data folder: one agent at a time uses it, and its id is the installation's."""

from __future__ import annotations

import fcntl
import os
import uuid
from typing import IO, TYPE_CHECKING, Self

from parallelm.agent.errors import AgentError, FolderInUseError

if TYPE_CHECKING:
    from pathlib import Path


class DataFolder:
    """Holds the folder's lock from the beginning to the end of a ``with`` block, or of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.installation_id = ""
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (self.path / "lock").open("a+", encoding="ascii")
        except OSError as error:
            raise AgentError(
                f"the data folder {self.path} is not writable: {error}; name another with --data"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            pid = self._lock.read().strip()
            self._lock.close()
            raise FolderInUseError(
                f"the data folder {self.path} is in use by the agent of pid {pid or 'unknown'}; stop it, or name another "
                "folder with --data"
            ) from None
        try:
            self._lock.truncate(0)
            self._lock.write(f"{os.getpid()}\n")
            self._lock.flush()
            self.installation_id = self._identity()
        except OSError as error:
            self._lock.close()
            raise AgentError(f"the data folder {self.path} cannot be written: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    def _identity(self) -> str:
        path = self.path / "installation"
        try:
            if known := path.read_text(encoding="ascii").strip():
                return known
        except FileNotFoundError:
            pass
        new, temporary = uuid.uuid4().hex, path.with_suffix(".new")
        with temporary.open("w", encoding="ascii") as file:
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return new

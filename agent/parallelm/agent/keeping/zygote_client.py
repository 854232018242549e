"""Asks the zygote, the process that all keepers are forked from, to start one; starts the zygote when there is none."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.zygote import LOG, socket_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.agent.keeping.process_identity import ProcessIdentity

START_S = 20.0
"""Time that a zygote has to listen, and to answer."""
_START_AGAIN_S = 5.0
_POLL_S = 0.01
_NEEDED = ("LD_LIBRARY_PATH",)
"""All that its interpreter may need of the agent's environment, which may hold secrets."""
_ROOT = str(Path(__file__).parents[3])
"""Folder that has the package ``parallelm`` with this room."""
_PROGRAM = f"import os, sys; os.fork() and os._exit(0); sys.path.insert(0, {_ROOT!r}); from parallelm.agent.keeping.sharing import import_apart; import_apart(); from parallelm.agent.keeping.zygote import main; main()"


def code_digest() -> str:
    """Digest of the code that keepers run, so that an upgraded agent starts keepers of its own version."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class ZygoteClient:
    """Starts keepers."""

    def __init__(self, folder: Path, end_with: ProcessIdentity | None) -> None:
        self._folder = folder
        self._end_with = end_with
        self._lock = threading.Lock()
        self._code = code_digest()

    def start(self, run: Path, inherited: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        """Start the keeper of a run; returns once it has claimed the run. Raises ``OSError``.

        Variables go to it alone: ``inherited`` are the lowest, ``secrets`` win over all.
        """
        with self._lock:
            answer = self._ask({"run": str(run), "inherited": inherited, "secrets": secrets})
        if error := answer.get("error"):
            raise OSError(f"no keeper could be started for {run.name}: {error}")

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask the zygote. One that ends while it is asked is replaced: a run that it has begun is not begun twice."""
        until_s, start_at_s = time.monotonic() + START_S, 0.0
        while True:
            try:
                return self._asked(question)
            except (ConnectionError, FileNotFoundError) as error:
                if time.monotonic() > until_s:
                    raise OSError(
                        f"the process that starts keepers does not come up; see {self._folder / LOG}"
                    ) from error
                if time.monotonic() > start_at_s:
                    self._start_zygote()
                    start_at_s = time.monotonic() + _START_AGAIN_S
                time.sleep(_POLL_S)

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(START_S)
            folder, address = socket_address(self._folder, self._code)
            try:
                connection.connect(address)
            finally:
                os.close(folder)
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        if not line:
            raise ConnectionResetError("the zygote ended before it answered")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start_zygote(self) -> None:
        """Start one; it is nobody's child, for it outlives the agent. When one is there already, it ends at once."""
        end_with = [] if self._end_with is None else [str(part) for part in self._end_with]
        with (self._folder / LOG).open("ab") as log:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, str(self._folder), self._code, *end_with],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: os.environ[name] for name in _NEEDED if name in os.environ},
                cwd="/",
                start_new_session=True,
                check=True,
                timeout=START_S,
            )

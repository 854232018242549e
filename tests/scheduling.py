"""Which worker of a session runs what, and when: a file's tests run in one worker, and those of the server in two.

Files share what is made for them. The server's share a platform with processors, a sink and reported history, which costs each
worker more than most files do; those of the secured broker share the broker.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

_FIRST = ("tests/end_to_end/", "tests/server/", "tests/stream_processors/", "tests/sinks/")
"""Folders with long files. What begins last must be short: the other workers have nothing to do while it runs."""
_SECURED = "tests/end_to_end/secured/"
_SERVER = "tests/server/test_"
_SECOND_HALF = "h"
"""Files from this letter on take as long as those before it."""


class RoomScheduling(LoadFileScheduling):
    """As ``--dist=loadfile``, but for files that share more."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        if file.startswith(_SECURED):
            return _SECURED
        if not file.startswith(_SERVER):
            return file
        return f"{_SERVER}{'h-z' if file.removeprefix(_SERVER) >= _SECOND_HALF else 'a-g'}"


def turn(nodeid: str) -> int:
    """When a test runs: those with a lower number first."""
    return next((number for number, folder in enumerate(_FIRST) if nodeid.startswith(folder)), len(_FIRST))

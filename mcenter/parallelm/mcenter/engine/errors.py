"""Errors as ClickHouse reports them: a code and a message that names it."""

from __future__ import annotations

import re

AUTHENTICATION_FAILED = 516
BAD_ARGUMENTS = 36
READONLY = 164
SYNTAX_ERROR = 62
TOO_LARGE = 161
UNEXPECTED_PACKET = 101
UNKNOWN_EXCEPTION = 1002
UNSUPPORTED = 48

_CODE = re.compile(r"Code: (\d+)\.")


class EngineError(Exception):
    """A statement was refused: ``code`` is ClickHouse's number of the error."""

    def __init__(self, message: str, code: int | None = None) -> None:
        found = _CODE.search(message) if code is None else None
        self.code = int(found[1]) if found else code or UNKNOWN_EXCEPTION
        super().__init__(
            message[found.start() :] if found else f"Code: {self.code}. DB::Exception: {message}"
        )


class StorageFailedError(EngineError):
    """The file system failed in an insert: the client gets the error, then the process has to end.

    The engine writes an insert's token to the table's deduplication log before it commits the part. When the disk
    fails between the two, this process would drop the block's replay as a duplicate; a new one repairs the log first.
    A refused reservation (code 243, too little room for the part) is another thing: it comes before anything is
    written, so the engine stays, and takes inserts again when there is room.
    """

"""Certificates that came as text, as files that only this process's user may read, until the process ends."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def authority_file(certificates: str) -> str:
    """Path of a file with this text; the same one for the same text."""
    folder = tempfile.mkdtemp(prefix="mcenter-")
    path = Path(folder, "authorities.pem")
    path.write_text(certificates, encoding="ascii")
    atexit.register(_remove, folder, os.getpid())
    return str(path)


def _remove(folder: str, made_by: int) -> None:
    """Not at the end of a forked child: its parent still connects with it."""
    if os.getpid() == made_by:
        shutil.rmtree(folder, ignore_errors=True)

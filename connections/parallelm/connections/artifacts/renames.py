"""Atomic renames that Python does not offer: to an unused name only, and swapping two entries."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_AT_FDCWD = -100
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM}
"""Errors of systems and file systems (NFS, some overlays) that do not support these renames."""


def exchange(one: Path, other: Path) -> bool:
    """Swap two entries of one file system; False if that is not supported. Raises ``OSError``."""
    return _renamed(one, other, linux=2, darwin=2)


def rename_to_free(source: Path, target: Path) -> None:
    """Rename; raises ``FileExistsError`` when there is something at ``target``.

    Without such a system call this is a check followed by a rename.
    """
    if _renamed(source, target, linux=1, darwin=4):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def _renamed(source: Path, target: Path, *, linux: int, darwin: int) -> bool:
    names = os.fsencode(source), os.fsencode(target)
    try:
        if sys.platform == "linux":
            rename = ctypes.CDLL(None, use_errno=True).renameat2
            failed = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(linux))
        elif sys.platform == "darwin":
            failed = ctypes.CDLL(None, use_errno=True).renamex_np(*names, ctypes.c_uint(darwin))
        else:
            return False
    except AttributeError:  # this C library lacks the call
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))

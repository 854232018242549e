"""Where the settings are: the file that ``MCENTER_CONFIG`` names, else the nearest one of this folder and those above.

As git does with its folder: the search goes up to the root of the file system and not into another one, and what it
finds is used only if it belongs to this user or to root (under sudo also to the user who called it), since a settings
file names the hosts that get passwords and models.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_NAME = "mcenter.toml"
LOCAL_STACK_FOLDER = ".mcenter"
_STACK_MARKS = (FILE_NAME, "VERSION")


def settings_file(environ: Mapping[str, str], folder: Path | None = None) -> Path | None:
    """File that ``load_settings`` reads, or None.

    Raises ``ConfigurationError`` when ``MCENTER_CONFIG`` names one that is not there, and when the one found belongs to
    somebody else. ``folder`` defaults to the working directory.
    """
    named = environ.get("MCENTER_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(f"MCENTER_CONFIG names {named!r}, which is not a file")
        return Path(named)
    for parent in folders_upwards(folder):
        for candidate in (parent / FILE_NAME, parent / LOCAL_STACK_FOLDER / FILE_NAME):
            if _is_file(candidate):
                check_owner(candidate, environ, "name it in MCENTER_CONFIG")
                return candidate
    return None


def local_stack_folder(environ: Mapping[str, str], folder: Path | None = None) -> Path | None:
    """Data folder of the local stack of this folder or the nearest one above that has one, or None; raises as above."""
    for parent in folders_upwards(folder):
        found = parent / LOCAL_STACK_FOLDER
        mark = next((found / mark for mark in _STACK_MARKS if _is_file(found / mark)), None)
        if mark is not None:
            check_owner(mark, environ, f"name it: --data {found}")
            return found
    return None


def admin_file(path: Path) -> Path:
    """Where the administrator's settings are, beside a settings file: ``mcenter.admin.toml`` beside ``mcenter.toml``."""
    return path.with_name(f"{path.stem}.admin{path.suffix}")


def login_file(path: Path) -> Path:
    """Where ``mcenter login`` keeps address and token, beside a settings file: ``mcenter.login.toml`` beside ``mcenter.toml``."""
    return path.with_name(f"{path.stem}.login{path.suffix}")


def folders_upwards(folder: Path | None = None) -> Iterator[Path]:
    """The folder and those above it on the same file system; none when the working directory was deleted."""
    try:
        start = (folder or Path.cwd()).absolute()
        device = start.stat().st_dev
    except OSError:
        return
    for parent in (start, *start.parents):
        try:
            if parent.stat().st_dev != device:
                return
        except OSError:
            return
        yield parent


def check_owner(path: Path, environ: Mapping[str, str], remedy: str) -> None:
    """Raise ``ConfigurationError`` unless the file, and what it links to, is this user's or root's."""
    if not hasattr(os, "geteuid"):
        return
    user = os.geteuid()
    trusted = {user, 0}
    if user == 0 and environ.get("SUDO_UID", "").isdecimal():
        trusted.add(int(environ["SUDO_UID"]))
    owners = {path.lstat().st_uid, path.stat().st_uid}
    if strangers := owners - trusted:
        raise ConfigurationError(
            f"{path} belongs to {_user_name(min(strangers))}, not to you ({_user_name(user)}), and was not named: "
            f"it is not used. If you trust it, {remedy}"
        )


def _user_name(number: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user id {number}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered
        return False

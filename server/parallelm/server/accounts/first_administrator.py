"""The link of the first administrator, as the one who starts a server finds it: printed, and in a file beside the SQLite database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from parallelm.server.accounts import links

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.server.accounts.database import Database

FILE: Final = "first-sign-in.txt"


def make_link(database: Database, base_url: str, now_ms: int) -> str | None:
    """The URL, also in ``file_of`` for those who start the server for others; None when there is an administrator."""
    with database.writing() as sql:
        secret = links.first_administrator(sql, now_ms)
    if secret is None:
        remove_file(database)
        return None
    url = f"{base_url}{links.PATH}?link={secret}"
    file = file_of(database)
    if file is not None:
        _write(file, url)
    return url


def in_words(database: Database, link: str, *, shown: bool) -> str:
    """What to print: the link on a terminal; into a log, which many may read, only where it is."""
    file = file_of(database)
    if shown or file is None:
        return f"There is no administrator yet. Open this link, once and within {links.HOURS} hours: {link}"
    return f"There is no administrator yet. The link that makes one is in {file}"


def left_in(folder: Path) -> str:
    """The link that the server of a folder has left there; empty when there is an administrator."""
    file = folder / FILE
    return file.read_text(encoding="ascii").strip() if file.is_file() else ""


def file_of(database: Database) -> Path | None:
    """Where the link is kept; nowhere for a database that is not on this host."""
    return database.file.with_name(FILE) if database.file else None


def remove_file(database: Database) -> None:
    """It is of no more use."""
    file = file_of(database)
    if file is not None:
        file.unlink(missing_ok=True)


def _write(file: Path, url: str) -> None:
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
        out.write(f"{url}\n")
    temporary.replace(file)

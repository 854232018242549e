"""Whose decision an action is, and how that is known."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.schemas.well_known import BROKER_PRINCIPAL, UNVERIFIED_LOCAL_USER

if TYPE_CHECKING:
    from parallelm.connections import Settings

REQUEST: Final = "request"
"""Parameter of an action: digest of the request by which it was asked for."""


@dataclass(frozen=True, slots=True)
class Author:
    """A person or a program that acts."""

    name: str
    authenticated_by: str
    """One of ``parallelm.schemas.well_known.AUTHENTICATIONS``; never an imported one."""
    request: str = ""
    """What it asked with, where that is known: a repeat of it has the same one."""

    @property
    def parameters(self) -> dict[str, str]:
        """What an action says of its request."""
        return {REQUEST: self.request} if self.request else {}

    def __str__(self) -> str:
        return self.name


def who_said(who: str, imported_from: str) -> str:
    """Who did something, and which imported capture alone says so."""
    return f"{who} (says capture {imported_from})" if imported_from else who


def author_of_command(settings: Settings, name: str | None = None) -> Author:
    """Who runs a command: the user that the brokers have checked, else whoever the shell, or ``name``, says."""
    principal = settings.kafka.sasl_username
    if principal and name in {None, principal}:
        return Author(principal, BROKER_PRINCIPAL)
    return Author(name or local_user(), UNVERIFIED_LOCAL_USER)


def local_user() -> str:
    """Who the shell says that this is; in a container whose user has no name, the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user id {os.getuid()}"

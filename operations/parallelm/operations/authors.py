"""Whose decision an action is, and how that is known."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.well_known import BROKER_PRINCIPAL, UNVERIFIED_LOCAL_USER

if TYPE_CHECKING:
    from parallelm.connections import Settings


@dataclass(frozen=True, slots=True)
class Author:
    """A person or a program that acts."""

    name: str
    authenticated_by: str
    """One of ``parallelm.schemas.well_known.AUTHENTICATIONS``."""

    def __str__(self) -> str:
        return self.name


def author_of_command(settings: Settings, name: str | None = None) -> Author:
    """Who runs a command: the user that the brokers have checked, else whoever the shell, or ``name``, says."""
    principal = settings.kafka.sasl_username
    if principal and name in {None, principal}:
        return Author(principal, BROKER_PRINCIPAL)
    return Author(name or getpass.getuser(), UNVERIFIED_LOCAL_USER)

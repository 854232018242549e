"""What the one who asks may read: data of other MLApps is left out of lists, and unknown when it is asked for by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parallelm.server.access.dependencies import allow
from parallelm.server.problems import ApiProblemError

if TYPE_CHECKING:
    from parallelm.server.access.principal import Principal
    from parallelm.warehouse.queries import OneOrMore

READ: Final = "mlapps.read"


def readable(asking: Principal, mlapp_id: str | None = None, action: str = READ) -> OneOrMore | None:
    """MLApps that a list is limited to: the one that is asked for, or all that somebody may read; None: no limit."""
    if mlapp_id is not None:
        allow(asking, action, mlapp_id)
        return mlapp_id
    return asking.mlapps(action)


def unknown(what: str, name: str, where: str = "") -> ApiProblemError:
    """404 in the same words whether there is no such thing or somebody may not know of it."""
    kind = f"unknown-{what.lower().replace(' ', '-')}"
    return ApiProblemError(404, kind, f"there is no {what} {name!r}{where}")

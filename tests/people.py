"""Authors of actions."""

from __future__ import annotations

from parallelm.operations.authors import Author
from parallelm.schemas.well_known import UNVERIFIED_LOCAL_USER


def person(name: str) -> Author:
    """Who acts with a command, as far as anybody knows."""
    return Author(name, UNVERIFIED_LOCAL_USER)

"""Actions under an ``Idempotency-Key``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, Header, Request

from parallelm.server.access.dependencies import Asking

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Once:
    """Runs an action."""

    def __init__(self, request: Request, owner: str, key: str | None) -> None:
        self._request = request
        self._owner = owner
        self._key = key

    def __call__(self, act: Callable[[], Result]) -> Result:
        """What the action answers."""
        return act()


def _once(
    request: Request,
    asking: Asking,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your own, new for each action: a repeat gets the first answer and does nothing again.",
        ),
    ] = None,
) -> Once:
    return Once(request, asking.name, key)


OnceKey = Annotated[Once, Depends(_once)]
"""Parameter of a handler that acts."""

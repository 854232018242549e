"""Whether commands act here or through a server: the one place that looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from parallelm.operations.authors import author_of_command
from parallelm.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author

Way = TypeVar("Way")


@dataclass(frozen=True)  # with slots, Python 3.11 cannot make one of ``Ways[X]``
class Ways(Generic[Way]):
    """The two ways to do the same; call it to get the one that the settings name."""

    here: Callable[[Settings, Author], Way]
    by_server: Callable[[ServerClient], Way]

    def __call__(self, settings: Settings, who: str | None) -> Way:
        """``by_server`` when the settings name one, else ``here`` as the author ``who``.

        Raises ``OperationError`` when somebody is named as the author and a server knows who it is.
        """
        if not settings.server.url:
            return self.here(settings, author_of_command(settings, who))
        if who is not None:
            raise OperationError(
                f"who acts is the account of the token by which {settings.server.url} knows you: leave --who out"
            )
        from parallelm.operations.acting.server_client import ServerClient

        return self.by_server(ServerClient(settings.server))

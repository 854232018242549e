"""What every request may use: the settings of this process, and nothing that another process would have to know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection, Request

    from parallelm.connections import Settings
    from parallelm.server.access.principal import Principal
    from parallelm.server.live.changes import LiveChanges


@dataclass(frozen=True, slots=True)
class ServerContext:
    """Of one application."""

    settings: Settings
    """How to reach Kafka and ClickHouse; ClickHouse as the user that reads."""
    authenticate: Callable[[Request], Principal | None]
    """Who asks; None for somebody unknown."""
    live: LiveChanges
    """What has just arrived, for those who look."""


def context_of(connection: HTTPConnection) -> ServerContext:
    """The context of the application that serves this request."""
    return cast("ServerContext", connection.app.state.context)

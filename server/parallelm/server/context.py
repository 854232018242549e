"""What every request may use: the settings of this process, and nothing that another process would have to know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from parallelm.server.access.authentication import authenticate, authenticate_program

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from parallelm.connections import Settings
    from parallelm.server.access.limits import RequestLimit
    from parallelm.server.access.principal import Principal
    from parallelm.server.accounts.audit import AuditLog
    from parallelm.server.accounts.database import Database
    from parallelm.server.accounts.oidc import IdentityProvider
    from parallelm.server.live.changes import LiveChanges


@dataclass(frozen=True, slots=True)
class ServerContext:
    """Of one application."""

    settings: Settings
    """How to reach Kafka and ClickHouse; ClickHouse as the user that reads."""
    database: Database
    """Accounts, sessions and tokens."""
    audit: AuditLog
    """Changes of accounts, and what tells of them."""
    requests: RequestLimit
    """How often somebody has asked of late."""
    reports: RequestLimit
    """How often somebody has reported over HTTP of late."""
    identity_provider: IdentityProvider
    """By which people sign in, where one is set up."""
    live: LiveChanges
    """What has just arrived, for those who look."""
    admin_settings: Settings
    """As the user who may change tables, where this process knows one: for what administrators ask for."""

    def authenticate(self, connection: HTTPConnection) -> Principal | None:
        """Who asks; None for somebody unknown."""
        return authenticate(self.database, self.settings.server, connection)

    def authenticate_program(self, connection: HTTPConnection) -> Principal | None:
        """The same for one of the original's calls."""
        return authenticate_program(self.database, self.settings.server, connection)


def context_of(connection: HTTPConnection) -> ServerContext:
    """The context of the application that serves this request."""
    return cast("ServerContext", connection.app.state.context)

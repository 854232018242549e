"""How somebody comes in, from a page or a call alike: what the audit log is told of it, and the session that begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import HTTPException

from parallelm.operations.authors import Author
from parallelm.schemas.well_known import NOBODY
from parallelm.server.access.authentication import lifetimes, now_ms
from parallelm.server.accounts import json_web_tokens, sessions, signing_in
from parallelm.server.context import context_of
from parallelm.server.errors import LockedOutError, SignInError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from parallelm.server.accounts.tables import Account


def with_password(connection: HTTPConnection, name: str, password: str) -> Account:
    """Whose name and password they are; raises ``SignInError`` and ``LockedOutError``, which the audit log has, too."""
    context, address = context_of(connection), address_of(connection)
    try:
        return signing_in.sign_in(context.database, name, password, address, now_ms())
    except SignInError as error:
        action = "lock_out" if isinstance(error, LockedOutError) else "refuse_sign_in"
        context.audit.refused(Author(error.account_name, NOBODY), action, error.account_name, address=address)
        raise


def by_password(connection: HTTPConnection, name: str, password: str) -> Account:
    """The same for programs: 401 and 429."""
    try:
        return with_password(connection, name, password)
    except LockedOutError as error:
        raise HTTPException(429, str(error), headers={"Retry-After": str(error.retry_after_s)}) from error
    except SignInError as error:
        raise HTTPException(401, str(error), headers={"WWW-Authenticate": "Bearer"}) from error


def begin_session(
    connection: HTTPConnection, account: Account, authenticated_by: str, *, for_a_program: bool = False
) -> str:
    """The secret of a new session, also where there was one, which ends: nobody can have planted it."""
    context = context_of(connection)
    before = context.authenticate(connection)
    with context.audit.changing(Author(account.name, authenticated_by)) as change:
        if before is not None and before.session:
            sessions.end(change.sql, before.session)
        change.note("sign_in", account.name, address=address_of(connection))
        return sessions.begin(
            change.sql,
            change.sql.merge(account),
            authenticated_by,
            change.now_ms,
            lifetimes(context.settings.server),
            address=address_of(connection),
            browser=connection.headers.get("user-agent", ""),
            prefix=json_web_tokens.PREFIX if for_a_program else "",
        )


def address_of(connection: HTTPConnection) -> str:
    """Of the host that asks."""
    return connection.client.host if connection.client else ""

"""Who asks: by the token of a program, or else by the session of a browser. One look into the SQL database a request."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

from parallelm.schemas.well_known import API_TOKEN
from parallelm.server.access.principal import Principal
from parallelm.server.accounts import json_web_tokens, sessions, tokens
from parallelm.server.accounts.roles import roles_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from parallelm.connections import ServerSettings
    from parallelm.server.accounts.database import Database

_MINUTE_MS: Final = 60_000
_KNOWN: Final = "principal"
_KNOWN_PROGRAM: Final = "program"


def now_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


def lifetimes(settings: ServerSettings) -> sessions.Lifetimes:
    """How long sessions last here."""
    return sessions.Lifetimes(
        settings.session_idle_minutes * _MINUTE_MS, settings.session_hours * 60 * _MINUTE_MS
    )


def cookie_name(database: Database) -> str:
    """Of an installation's own: browsers send a cookie to every port of a host."""
    return f"mcenter_session_{database.installation_id}"


def authenticate(
    database: Database, settings: ServerSettings, connection: HTTPConnection
) -> Principal | None:
    """Who asks; None for somebody unknown."""
    known: dict[str, Any] = connection.scope.setdefault("state", {})
    if _KNOWN not in known:
        token = bearer(connection)
        if token is None:
            known[_KNOWN] = _by_cookie(database, settings, connection.cookies.get(cookie_name(database)))
        elif (secret := json_web_tokens.secret_in(token)) is not None:
            known[_KNOWN] = _by_login(database, settings, secret)
        else:
            known[_KNOWN] = _by_token(database, token)
    found: Principal | None = known[_KNOWN]
    return found


def bearer(connection: HTTPConnection) -> str | None:
    """The token of ``Authorization: Bearer``; None where there is no such header, and a session counts."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def forget(connection: HTTPConnection) -> None:
    """Find out anew who asks: a sign-in or sign-out has changed it."""
    connection.scope["state"].pop(_KNOWN, None)


def set_session(response: Response, connection: HTTPConnection, database: Database, secret: str) -> None:
    """Let the browser show this session from now on."""
    response.set_cookie(
        cookie_name(database),
        secret,
        httponly=True,
        samesite="lax",
        secure=connection.url.scheme == "https",
        path=cookie_path(connection),
    )


def clear_session(response: Response, connection: HTTPConnection, database: Database) -> None:
    """Let the browser forget its session."""
    response.delete_cookie(cookie_name(database), path=cookie_path(connection), httponly=True, samesite="lax")


def cookie_path(connection: HTTPConnection) -> str:
    """Below which the browser shows it."""
    return connection.scope.get("root_path", "") or "/"


def _by_token(database: Database, secret: str) -> Principal | None:
    now = now_ms()
    with database.reading() as sql:
        token = tokens.find(sql, secret, now)
        if token is None:
            return None
        roles = roles_of(sql, token.account_id)
    tokens.note_use(database, token, now)
    return Principal(
        name=token.account.name,
        authenticated_by=API_TOKEN,
        roles=roles,
        scopes=None if token.scopes is None else frozenset(token.scopes),
        account_id=token.account_id,
    )


def authenticate_program(
    database: Database, settings: ServerSettings, connection: HTTPConnection
) -> Principal | None:
    """The same for the original's calls, whose programs may show the token of their login in the cookie ``token``."""
    found = authenticate(database, settings, connection)
    if found is not None:
        return found
    known: dict[str, Any] = connection.scope["state"]
    if _KNOWN_PROGRAM not in known:
        secret = json_web_tokens.secret_in(connection.cookies.get("token", ""))
        known[_KNOWN_PROGRAM] = None if secret is None else _by_login(database, settings, secret)
    program: Principal | None = known[_KNOWN_PROGRAM]
    return program


def _by_login(database: Database, settings: ServerSettings, secret: str) -> Principal | None:
    """Whose the token of a login is, with the secret in it: a program's, which does nothing that is done in person."""
    found = _by_session(database, settings, secret)
    return None if found is None else dataclasses.replace(found, is_by_login=True)


def _by_cookie(database: Database, settings: ServerSettings, secret: str | None) -> Principal | None:
    if not secret or secret.startswith(json_web_tokens.PREFIX):
        return None
    return _by_session(database, settings, secret)


def _by_session(database: Database, settings: ServerSettings, secret: str) -> Principal | None:
    """Whose session this is the secret of; None when it is over, or there is none."""
    now = now_ms()
    with database.reading() as sql:
        session = sessions.find(sql, secret, now, lifetimes(settings))
        if session is None:
            return None
        roles = roles_of(sql, session.account_id)
    sessions.note_use(database, session, now)
    return Principal(
        name=session.account.name,
        authenticated_by=session.authenticated_by,
        roles=roles,
        account_id=session.account_id,
        session=session.digest,
        csrf_token=sessions.csrf_token(secret),
    )

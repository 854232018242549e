"""What is somebody's own: password, the browsers in which they are signed in, and tokens for their programs."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import HTMLResponse, Response

from parallelm.server.access.authentication import lifetimes, now_ms
from parallelm.server.access.dependencies import AskingInPerson
from parallelm.server.access.matrix import ACTIONS
from parallelm.server.accounts import management, passwords, sessions, tokens
from parallelm.server.accounts.tables import Account
from parallelm.server.api.tokens import TokenId
from parallelm.server.context import context_of
from parallelm.server.errors import AccountError
from parallelm.server.pages.rendering import render
from parallelm.server.pages.sign_in import NO_STORE
from parallelm.server.pages.toasts import refreshed

ROUTER: Final = APIRouter(prefix="/profile")
Scopes = Annotated[list[str], Form(max_length=100)]


@ROUTER.get("")
def profile(request: Request, asking: AskingInPerson) -> HTMLResponse:
    """Everything of one's own."""
    context = context_of(request)
    lasting = lifetimes(context.settings.server)
    with context.database.reading() as sql:
        account = sql.get_one(Account, asking.account_id)
        values = {
            "account": account,
            "groups": sorted(each.group.name for each in account.memberships),
            "sessions": sessions.of_account(sql, account.id, now_ms(), lasting),
            "idle_ms": lasting.idle_ms,
            "tokens": tokens.of_account(sql, account.id),
            "least": passwords.LEAST,
            **for_tokens(),
        }
        return render(request, "profile.html", values, headers=NO_STORE)


@ROUTER.post("/password")
def change_password(
    request: Request,
    asking: AskingInPerson,
    present: Annotated[str, Form(max_length=1000)] = "",
    new: Annotated[str, Form(max_length=1000)] = "",
    repeated: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Choose another password."""
    if new != repeated:
        raise AccountError("the two new passwords differ; type the same twice")
    with context_of(request).audit.changing(asking.author) as change:
        account = change.sql.get_one(Account, asking.account_id)
        management.change_password(change, account, present, new, session=asking.session)
    return refreshed("Your password is changed. You are signed out everywhere else.")


@ROUTER.post("/sessions/end")
def end_others(request: Request, asking: AskingInPerson) -> Response:
    """Sign out everywhere else."""
    with context_of(request).audit.changing(asking.author) as change:
        management.end_sessions(change, change.sql.get_one(Account, asking.account_id), but=asking.session)
    return refreshed("You are signed out everywhere else.")


@ROUTER.post("/sessions/{session_id}/end")
def end_one(
    request: Request, session_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")], asking: AskingInPerson
) -> Response:
    """Sign out in one browser."""
    with context_of(request).audit.changing(asking.author) as change:
        management.end_session(change, change.sql.get_one(Account, asking.account_id), session_id)
    return refreshed("The session has ended.")


@ROUTER.post("/tokens")
def create_token(
    request: Request,
    asking: AskingInPerson,
    name: Annotated[str, Form(max_length=200)] = "",
    days: Annotated[int, Form(ge=1, le=tokens.LONGEST_DAYS)] = tokens.USUAL_DAYS,
    scopes: Scopes = [],  # noqa: B006 - FastAPI's own way
) -> HTMLResponse:
    """A token; the answer shows it this once."""
    with context_of(request).audit.changing(asking.author) as change:
        account = change.sql.get_one(Account, asking.account_id)
        _, secret = management.create_token(change, account, name, scopes or None, days)
    return shown_once(
        request, "Token", secret, "Send it as “Authorization: Bearer …”. Whoever has it acts as you."
    )


@ROUTER.post("/tokens/{token_id}/revoke")
def revoke_token(request: Request, token_id: TokenId, asking: AskingInPerson) -> Response:
    """Let a token be of no more use."""
    with context_of(request).audit.changing(asking.author) as change:
        management.revoke_token(change, management.token_of(change.sql, asking.account_id, token_id))
    return refreshed("The token is revoked.")


def for_tokens() -> dict[str, object]:
    """What the form for a new token and the table of tokens need."""
    return {
        "actions": ACTIONS,
        "days": tokens.USUAL_DAYS,
        "longest_days": tokens.LONGEST_DAYS,
        "now_ms": now_ms(),
    }


def shown_once(request: Request, what: str, secret: str, hint: str) -> HTMLResponse:
    """A part that shows a secret, which no later answer has."""
    values = {"what": what, "secret": secret, "hint": hint}
    return render(request, "parts/secret.html", values, headers=NO_STORE)

"""Tokens of programs: of one's own account, and for administrators those of service accounts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Request
from pydantic import Field

from parallelm.operations.authors import Author
from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.authentication import now_ms
from parallelm.server.access.dependencies import Asking, AskingInPerson
from parallelm.server.access.entering import by_password
from parallelm.server.accounts import management, people, tokens
from parallelm.server.accounts.tables import SERVICE, Account
from parallelm.server.accounts.tables import Token as TokenRow
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment
from parallelm.server.api.users import MANAGES, AccountName, Asked, moment
from parallelm.server.context import context_of
from parallelm.server.errors import AccountError

ROUTER: Final = resource("tokens")
TokenId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class NewToken(Asked):
    """A token."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["nightly report"])]
    """What uses it."""
    scopes: Annotated[list[Annotated[str, Field(max_length=50)]], Field(max_length=100)] | None = None
    """Actions that it is limited to, such as `mlapps.read`; null: all that its account may do."""
    valid_days: Annotated[int, Field(ge=1, le=tokens.LONGEST_DAYS)] = tokens.USUAL_DAYS


class TokenByPassword(NewToken):
    """A token, with what proves whose it will be."""

    user: Annotated[str, Field(max_length=200, examples=["ada"])]
    password: Annotated[str, Field(max_length=1000)]


class Token(Answer):
    """A token, without its secret."""

    token_id: int
    name: str
    hint: str
    """Its first characters."""
    scopes: list[str] | None
    is_valid: bool
    created_at: Moment
    expires_at: Moment
    used_at: Moment | None
    """To the minute."""
    revoked_at: Moment | None


class CreatedToken(Token):
    """A new token."""

    token: str
    """The secret, for `Authorization: Bearer`. It is told this once."""


@ROUTER.get("/me/tokens")
def list_my_tokens(request: Request, asking: AskingInPerson) -> list[Token]:
    """One's own tokens, the newest first."""
    with context_of(request).database.reading() as sql:
        return [Token.model_validate(_shown(each)) for each in tokens.of_account(sql, asking.account_id)]


@ROUTER.post("/me/tokens", status_code=201)
def create_my_token(request: Request, wanted: NewToken, asking: AskingInPerson) -> CreatedToken:
    """Make a token that acts in one's own name."""
    with context_of(request).audit.changing(asking.author) as change:
        account = change.sql.get_one(Account, asking.account_id)
        made, secret = management.create_token(change, account, wanted.name, wanted.scopes, wanted.valid_days)
        return CreatedToken.model_validate({**_shown(made), "token": secret})


@ROUTER.post("/tokens", status_code=201)
def create_token_by_password(request: Request, wanted: TokenByPassword) -> CreatedToken:
    """Make a token of one's own without a session, by name and password: what `mcenter login` does."""
    found = by_password(request, wanted.user, wanted.password)
    with context_of(request).audit.changing(Author(found.name, SERVER_ACCOUNT)) as change:
        account = change.sql.get_one(Account, found.id)
        made, secret = management.create_token(change, account, wanted.name, wanted.scopes, wanted.valid_days)
        return CreatedToken.model_validate({**_shown(made), "token": secret})


@ROUTER.delete("/me/tokens/{token_id}", status_code=204)
def revoke_my_token(request: Request, token_id: TokenId, asking: AskingInPerson) -> None:
    """Let it be of no more use."""
    with context_of(request).audit.changing(asking.author) as change:
        management.revoke_token(change, management.token_of(change.sql, asking.account_id, token_id))


@ROUTER.get("/users/{name}/tokens", dependencies=MANAGES)
def list_tokens_of_user(request: Request, name: AccountName) -> list[Token]:
    """Tokens of an account, the newest first."""
    with context_of(request).database.reading() as sql:
        account = people.find(sql, name)
        return [Token.model_validate(_shown(each)) for each in tokens.of_account(sql, account.id)]


@ROUTER.post("/users/{name}/tokens", status_code=201, dependencies=MANAGES)
def create_token_of_service(
    request: Request, name: AccountName, wanted: NewToken, asking: AskingInPerson
) -> CreatedToken:
    """Make a token of a service account. People make their own: nobody else acts in their name."""
    with context_of(request).audit.changing(asking.author) as change:
        account = people.find(change.sql, name)
        if account.kind != SERVICE:
            raise AccountError(f"{account.name} is a person, who makes tokens of their own (Profile)")
        made, secret = management.create_token(change, account, wanted.name, wanted.scopes, wanted.valid_days)
        return CreatedToken.model_validate({**_shown(made), "token": secret})


@ROUTER.delete("/users/{name}/tokens/{token_id}", status_code=204, dependencies=MANAGES)
def revoke_token_of_user(request: Request, name: AccountName, token_id: TokenId, asking: Asking) -> None:
    """Let it be of no more use."""
    with context_of(request).audit.changing(asking.author) as change:
        account = people.find(change.sql, name)
        management.revoke_token(change, management.token_of(change.sql, account.id, token_id))


def _shown(token: TokenRow) -> dict[str, Any]:
    return {
        "token_id": token.id,
        "name": token.name,
        "hint": token.hint,
        "scopes": token.scopes,
        "is_valid": tokens.is_valid(token, now_ms()),
        "created_at": moment(token.created_ms),
        "expires_at": moment(token.expires_ms),
        "used_at": moment(token.used_ms),
        "revoked_at": moment(token.revoked_ms),
    }

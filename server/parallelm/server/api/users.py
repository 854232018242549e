"""Accounts of people and programs, for administrators; and for everybody their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from parallelm.server.access.authentication import lifetimes, now_ms
from parallelm.server.access.dependencies import Asking, AskingInPerson, allow_grants, require
from parallelm.server.access.matrix import ROLES
from parallelm.server.accounts import links, management, people, sessions, signing_in
from parallelm.server.accounts.tables import Account, Grant
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._resource import IfMatch, require_unchanged, resource, tag_of
from parallelm.server.api._values import Answer, Moment
from parallelm.server.context import context_of
from parallelm.server.requests import base_url

ROUTER: Final = resource("users")
MANAGES: Final = [Depends(require("users.manage"))]
AccountName = Annotated[str, Path(min_length=1, max_length=100, description="Name of an account.")]
Role = Literal["viewer", "data_scientist", "approver", "operator", "admin"]


class Asked(BaseModel):
    """Base of what is asked for."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RoleOnMLApp(Asked):
    """A role on an MLApp."""

    role: Role
    mlapp_id: Annotated[str, Field(min_length=1, max_length=200, examples=["*", "churn"])] = "*"
    """`*`: all MLApps, and what belongs to none."""


class NewUser(Asked):
    """A new account, without a password."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["grace"])]
    kind: Literal["person", "service"] = "person"
    """A service has tokens and no password."""
    full_name: Annotated[str, Field(max_length=200)] = ""
    roles: Annotated[list[RoleOnMLApp], Field(max_length=1000)] = []
    groups: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=1000)] = []


class UserChange(Asked):
    """What is to be different; what is missing stays."""

    full_name: Annotated[str, Field(max_length=200)] | None = None
    roles: Annotated[list[RoleOnMLApp], Field(max_length=1000)] | None = None
    """All roles of its own that it has from now on."""
    groups: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=1000)] | None = None
    is_disabled: bool | None = None


class NewPassword(Asked):
    """One's own password."""

    current: Annotated[str, Field(max_length=1000)]
    new: Annotated[str, Field(max_length=1000)]


class User(Answer):
    """An account."""

    name: str
    kind: str
    full_name: str
    roles: list[RoleOnMLApp]
    """Its own; those of its groups come to them."""
    groups: list[str]
    has_password: bool
    is_from_identity_provider: bool
    is_disabled: bool
    locked_until: Moment | None
    """After too many failed attempts."""
    created_at: Moment
    last_sign_in_at: Moment | None


class Me(Answer):
    """Who asks, and what they may do."""

    name: str
    authenticated_by: str
    """`server_account`, `oidc` or `token`."""
    roles: list[RoleOnMLApp]
    """With those of groups."""
    scopes: list[str] | None
    """Actions that the token is limited to; null: none but by the roles."""


class PasswordLink(Answer):
    """A link by which a person chooses a password."""

    url: str
    valid_hours: int


class Session(Answer):
    """A browser in which somebody is signed in."""

    session_id: str
    is_this_one: bool
    authenticated_by: str
    address: str
    browser: str
    created_at: Moment
    used_at: Moment
    ends_at: Moment


@ROUTER.get("/me")
def get_me(asking: Asking) -> Me:
    """Who asks."""
    roles = [
        RoleOnMLApp.model_construct(role=role, mlapp_id=mlapp_id)
        for mlapp_id, held in sorted(asking.roles.items())
        for role in ROLES
        if role in held
    ]
    return Me(
        name=asking.name,
        authenticated_by=asking.authenticated_by,
        roles=roles,
        scopes=None if asking.scopes is None else sorted(asking.scopes),
    )


@ROUTER.put("/me/password", status_code=204)
def change_my_password(request: Request, wanted: NewPassword, asking: AskingInPerson) -> None:
    """Choose another password; sessions in other browsers end."""
    with context_of(request).audit.changing(asking.author) as change:
        account = change.sql.get_one(Account, asking.account_id)
        management.change_password(change, account, wanted.current, wanted.new, session=asking.session)


@ROUTER.get("/me/sessions")
def list_my_sessions(request: Request, asking: AskingInPerson) -> list[Session]:
    """Where one is signed in, the one used last first."""
    context = context_of(request)
    lasting = lifetimes(context.settings.server)
    with context.database.reading() as sql:
        return [
            Session(
                session_id=each.digest[:16],
                is_this_one=each.digest == asking.session,
                authenticated_by=each.authenticated_by,
                address=each.address,
                browser=each.browser,
                created_at=moment(each.created_ms),
                used_at=moment(each.used_ms),
                ends_at=moment(min(each.expires_ms, each.used_ms + lasting.idle_ms)),
            )
            for each in sessions.of_account(sql, asking.account_id, now_ms(), lasting)
        ]


@ROUTER.delete("/me/sessions", status_code=204)
def end_my_other_sessions(request: Request, asking: AskingInPerson) -> None:
    """Sign out everywhere else."""
    with context_of(request).audit.changing(asking.author) as change:
        account = change.sql.get_one(Account, asking.account_id)
        management.end_sessions(change, account, but=asking.session)


@ROUTER.delete("/me/sessions/{session_id}", status_code=204)
def end_my_session(
    request: Request, session_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")], asking: AskingInPerson
) -> None:
    """Sign out in one browser."""
    with context_of(request).audit.changing(asking.author) as change:
        management.end_session(change, change.sql.get_one(Account, asking.account_id), session_id)


@ROUTER.get("/users", dependencies=MANAGES)
def list_users(request: Request, page: Paging) -> Page[User]:
    """Accounts by name."""
    with context_of(request).database.reading() as sql:
        found = [shown(each, signing_in.locked_until_ms(sql, each.name)) for each in management.accounts(sql)]
    return page.page_of(User, found, "name")


@ROUTER.post("/users", status_code=201, dependencies=MANAGES)
def create_user(request: Request, wanted: NewUser, asking: Asking) -> User:
    """Make an account. A person then needs a password link, or signs in by the identity provider.

    A token with scopes gives no role that allows more than itself: 403.
    """
    with context_of(request).audit.changing(asking.author) as change:
        made = management.create_account(
            change,
            wanted.name,
            kind=wanted.kind,
            full_name=wanted.full_name,
            grants=pairs(wanted.roles),
            in_groups=wanted.groups,
        )
        allow_grants(asking, management.roles_held(change.sql, made))
        return User.model_validate(shown(made, 0))


@ROUTER.get("/users/{name}", dependencies=MANAGES)
def get_user(request: Request, response: Response, name: AccountName) -> User:
    """One account; its `ETag` is for `If-Match` of a change."""
    with context_of(request).database.reading() as sql:
        found = shown(people.find(sql, name), signing_in.locked_until_ms(sql, name))
    response.headers["ETag"] = tag_of(found)
    return User.model_validate(found)


@ROUTER.patch("/users/{name}", dependencies=MANAGES)
def change_user(
    request: Request, name: AccountName, wanted: UserChange, asking: Asking, if_match: IfMatch = None
) -> User:
    """Change roles, groups or the full name; disable, which ends its sessions and tokens, or enable.

    A token with scopes gives no role that allows more than itself, and enables no account that has one: 403.
    """
    with context_of(request).audit.changing(asking.author) as change:
        management.one_at_a_time(change.sql)
        account = people.find(change.sql, name)
        require_unchanged(if_match, shown(account, signing_in.locked_until_ms(change.sql, name)))
        before = set() if account.disabled_ms else management.roles_held(change.sql, account)
        if wanted.is_disabled is not None:
            move = management.disable_account if wanted.is_disabled else management.enable_account
            move(change, account)
        if {"full_name", "roles", "groups"} & wanted.model_fields_set:
            management.change_account(
                change,
                account,
                full_name=wanted.full_name,
                grants=None if wanted.roles is None else pairs(wanted.roles),
                in_groups=wanted.groups,
            )
        if not account.disabled_ms:
            allow_grants(asking, management.roles_held(change.sql, account) - before)
        return _user(account, signing_in.locked_until_ms(change.sql, name))


@ROUTER.post("/users/{name}/unlock", status_code=204, dependencies=MANAGES)
def unlock_user(request: Request, name: AccountName, asking: Asking) -> None:
    """Forget failed attempts to sign in."""
    with context_of(request).audit.changing(asking.author) as change:
        management.unlock_account(change, people.find(change.sql, name))


@ROUTER.post("/users/{name}/password-link", status_code=201, dependencies=MANAGES)
def make_password_link(request: Request, name: AccountName, asking: AskingInPerson) -> PasswordLink:
    """A link by which the person chooses a password, once; an earlier one ends. Give it to nobody else."""
    with context_of(request).audit.changing(asking.author) as change:
        secret = management.make_link(change, people.find(change.sql, name))
    return PasswordLink(url=f"{base_url(request)}{links.PATH}?link={secret}", valid_hours=links.HOURS)


@ROUTER.delete("/users/{name}/sessions", status_code=204, dependencies=MANAGES)
def end_sessions_of_user(request: Request, name: AccountName, asking: Asking) -> None:
    """Sign the person out everywhere."""
    with context_of(request).audit.changing(asking.author) as change:
        management.end_sessions(change, people.find(change.sql, name))


def pairs(roles: list[RoleOnMLApp]) -> list[tuple[str, str]]:
    """As accounts take them."""
    return [(each.role, each.mlapp_id) for each in roles]


def roles_shown(grants: list[Grant]) -> list[dict[str, str]]:
    """As the API tells them."""
    return [{"role": grant.role, "mlapp_id": grant.mlapp_id} for grant in grants]


def moment(at_ms: int | None) -> Any:
    """Milliseconds as a time."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)


def shown(account: Account, locked_until_ms: int) -> dict[str, Any]:
    """An account as the API tells it."""
    return {
        "name": account.name,
        "kind": account.kind,
        "full_name": account.full_name,
        "roles": roles_shown(account.grants),
        "groups": sorted(each.group.name for each in account.memberships),
        "has_password": account.password_hash is not None,
        "is_from_identity_provider": account.oidc_subject is not None,
        "is_disabled": account.disabled_ms is not None,
        "locked_until": moment(locked_until_ms) if locked_until_ms > now_ms() else None,
        "created_at": moment(account.created_ms),
        "last_sign_in_at": moment(account.last_sign_in_ms),
    }


def _user(account: Account, locked_until_ms: int) -> User:
    return User.model_validate(shown(account, locked_until_ms))

"""Users and groups: accounts, their roles on MLApps, tokens of services; for administrators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import HTMLResponse, Response

from parallelm.server.access.authentication import now_ms
from parallelm.server.access.dependencies import Asking, require, require_session
from parallelm.server.access.matrix import READING_SQL, ROLES
from parallelm.server.access.principal import EVERY_MLAPP, Principal
from parallelm.server.accounts import links, management, people, signing_in, tokens
from parallelm.server.accounts.tables import SERVICE, Account, Group
from parallelm.server.api.tokens import TokenId
from parallelm.server.context import context_of
from parallelm.server.errors import AccountError
from parallelm.server.pages import Page
from parallelm.server.pages.profile import Scopes, for_tokens, shown_once
from parallelm.server.pages.rendering import render
from parallelm.server.pages.sign_in import NO_STORE
from parallelm.server.pages.toasts import gone_to, refreshed
from parallelm.server.requests import base_url

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

PAGE: Final = Page("Users", "/users", "users.manage", place=90)
ROUTER: Final = APIRouter(dependencies=[Depends(require("users.manage")), Depends(require_session)])
Text = Annotated[str, Form(max_length=200)]
Names = Annotated[list[str], Form(max_length=10_000)]
Named = Annotated[str, Path(min_length=1, max_length=100)]
_NONE: Final[list[str]] = []


@ROUTER.get("/users")
def users(request: Request) -> HTMLResponse:
    """All accounts and groups."""
    with context_of(request).database.reading() as sql:
        accounts = management.accounts(sql)
        now = now_ms()
        values = {
            "accounts": accounts,
            "locked": {each.name for each in accounts if signing_in.locked_until_ms(sql, each.name) > now},
            "groups": management.groups(sql),
            "roles": ROLES,
            "reading_sql": READING_SQL,
        }
        return render(request, "users.html", values, headers=NO_STORE)


@ROUTER.post("/users")
def create_user(
    request: Request,
    asking: Asking,
    name: Text = "",
    full_name: Text = "",
    kind: Text = "person",
    role: Text = "",
) -> Response:
    """A new account, with a role on all MLApps or none yet."""
    grants = [(role, EVERY_MLAPP)] if role else []
    with context_of(request).audit.changing(asking.author) as change:
        made = management.create_account(change, name, kind=kind, full_name=full_name, grants=grants)
    return gone_to(request, f"/users/{made.name}", f"{made.name} has an account.")


@ROUTER.get("/users/{name}")
def user(request: Request, name: Named) -> HTMLResponse:
    """One account."""
    with context_of(request).database.reading() as sql:
        account = people.find(sql, name)
        locked = signing_in.locked_until_ms(sql, account.name)
        values = {
            "account": account,
            "of_groups": {each.group.name: each.source for each in account.memberships},
            "groups": management.groups(sql),
            "locked_until": locked if locked > now_ms() else None,
            "roles": ROLES,
            "reading_sql": READING_SQL,
            "tokens": tokens.of_account(sql, account.id),
            "hours": links.HOURS,
            **for_tokens(),
        }
        return render(request, "user.html", values, headers=NO_STORE)


@ROUTER.post("/users/{name}/roles")
def add_role(request: Request, name: Named, asking: Asking, role: Text = "", mlapp_id: Text = "") -> Response:
    """One role more."""
    return _granted(request, asking, ACCOUNT, name, (role, mlapp_id.strip()))


@ROUTER.post("/users/{name}/roles/remove")
def remove_role(
    request: Request, name: Named, asking: Asking, role: Text = "", mlapp_id: Text = ""
) -> Response:
    """One role less."""
    return _taken_away(request, asking, ACCOUNT, name, (role, mlapp_id))


@ROUTER.post("/users/{name}/groups")
def set_groups(
    request: Request, name: Named, asking: Asking, groups: Names = _NONE, known: Names = _NONE
) -> Response:
    """The groups that an account is in."""
    with context_of(request).audit.changing(asking.author) as change:
        management.one_at_a_time(change.sql)
        account = people.find(change.sql, name)
        there = {each.group.name for each in account.memberships}
        management.change_account(change, account, in_groups=_chosen(there, known, groups))
    return refreshed(f"The groups of {name} are as chosen.")


@ROUTER.post("/users/{name}/disable")
def disable(request: Request, name: Named, asking: Asking) -> Response:
    """Let it in no more."""
    with context_of(request).audit.changing(asking.author) as change:
        management.disable_account(change, people.find(change.sql, name))
    return refreshed(f"{name} is disabled and signed out.")


@ROUTER.post("/users/{name}/enable")
def enable(request: Request, name: Named, asking: Asking) -> Response:
    """The opposite."""
    with context_of(request).audit.changing(asking.author) as change:
        management.enable_account(change, people.find(change.sql, name))
    return refreshed(f"{name} is enabled.")


@ROUTER.post("/users/{name}/unlock")
def unlock(request: Request, name: Named, asking: Asking) -> Response:
    """Forget failed attempts."""
    with context_of(request).audit.changing(asking.author) as change:
        management.unlock_account(change, people.find(change.sql, name))
    return refreshed(f"{name} may try again.")


@ROUTER.post("/users/{name}/sessions/end")
def end_sessions(request: Request, name: Named, asking: Asking) -> Response:
    """Sign somebody out everywhere."""
    with context_of(request).audit.changing(asking.author) as change:
        management.end_sessions(change, people.find(change.sql, name))
    return refreshed(f"{name} is signed out everywhere.")


@ROUTER.post("/users/{name}/link")
def make_link(request: Request, name: Named, asking: Asking) -> HTMLResponse:
    """A link by which the person chooses a password."""
    with context_of(request).audit.changing(asking.author) as change:
        secret = management.make_link(change, people.find(change.sql, name))
    url = f"{base_url(request)}{links.PATH}?link={secret}"
    return shown_once(
        request, "Link", url, f"Give it to {name} and nobody else: it works once, within {links.HOURS} hours."
    )


@ROUTER.post("/users/{name}/tokens")
def create_token(
    request: Request,
    name: Named,
    asking: Asking,
    title: Annotated[str, Form(alias="name", max_length=200)] = "",
    days: Annotated[int, Form(ge=1, le=tokens.LONGEST_DAYS)] = tokens.USUAL_DAYS,
    scopes: Scopes = _NONE,
) -> HTMLResponse:
    """A token of a service account."""
    with context_of(request).audit.changing(asking.author) as change:
        account = people.find(change.sql, name)
        if account.kind != SERVICE:
            raise AccountError(f"{name} is a person, who makes tokens of their own (Profile)")
        _, secret = management.create_token(change, account, title, scopes or None, days)
    return shown_once(
        request, "Token", secret, f"Send it as “Authorization: Bearer …”. Whoever has it acts as {name}."
    )


@ROUTER.post("/users/{name}/tokens/{token_id}/revoke")
def revoke_token(request: Request, name: Named, token_id: TokenId, asking: Asking) -> Response:
    """Let a token be of no more use."""
    with context_of(request).audit.changing(asking.author) as change:
        account = people.find(change.sql, name)
        management.revoke_token(change, management.token_of(change.sql, account.id, token_id))
    return refreshed("The token is revoked.")


@ROUTER.post("/groups")
def create_group(request: Request, asking: Asking, name: Text = "") -> Response:
    """A new group without roles and members."""
    with context_of(request).audit.changing(asking.author) as change:
        made = management.create_group(change, name)
    return gone_to(request, f"/groups/{made.name}", f"There is a group {made.name}.")


@ROUTER.get("/groups/{name}")
def group(request: Request, name: Named) -> HTMLResponse:
    """One group."""
    with context_of(request).database.reading() as sql:
        found = management.group(sql, name)
        values = {
            "group": found,
            "members": {each.account.name: each.source for each in found.memberships},
            "accounts": management.accounts(sql),
            "roles": ROLES,
            "reading_sql": READING_SQL,
        }
        return render(request, "group.html", values, headers=NO_STORE)


@ROUTER.post("/groups/{name}/roles")
def add_group_role(
    request: Request, name: Named, asking: Asking, role: Text = "", mlapp_id: Text = ""
) -> Response:
    """One role more."""
    return _granted(request, asking, GROUP, name, (role, mlapp_id.strip()))


@ROUTER.post("/groups/{name}/roles/remove")
def remove_group_role(
    request: Request, name: Named, asking: Asking, role: Text = "", mlapp_id: Text = ""
) -> Response:
    """One role less."""
    return _taken_away(request, asking, GROUP, name, (role, mlapp_id))


@ROUTER.post("/groups/{name}/members")
def set_members(
    request: Request, name: Named, asking: Asking, members: Names = _NONE, known: Names = _NONE
) -> Response:
    """Who is in it."""
    with context_of(request).audit.changing(asking.author) as change:
        management.one_at_a_time(change.sql)
        group = management.group(change.sql, name)
        there = {each.account.name for each in group.memberships}
        management.change_group(change, group, members=_chosen(there, known, members))
    return refreshed(f"The members of {name} are as chosen.")


@ROUTER.post("/groups/{name}/delete")
def delete_group(request: Request, name: Named, asking: Asking) -> Response:
    """Remove it."""
    with context_of(request).audit.changing(asking.author) as change:
        management.delete_group(change, management.group(change.sql, name))
    return gone_to(request, "/users", f"There is no group {name} any more.")


def _chosen(there: set[str], known: Iterable[str], chosen: Iterable[str]) -> set[str]:
    """What is there with what somebody has changed on a page that showed ``known``: others may have changed more since."""
    known, chosen = set(known), set(chosen)
    return (there - (known - chosen)) | (chosen - known)


@dataclass(frozen=True, slots=True)
class Holder:
    """A kind of what has roles: how one is found, and changed."""

    find: Callable[[Session, str], Any]
    change: Callable[..., None]


ACCOUNT: Final = Holder(people.find, management.change_account)
GROUP: Final = Holder(management.group, management.change_group)


def _granted(request: Request, asking: Principal, kind: Holder, name: str, role: tuple[str, str]) -> Response:
    with context_of(request).audit.changing(asking.author) as change:
        found = kind.find(change.sql, name)
        kind.change(change, found, grants=[*_pairs(found), role])
    return refreshed(f"{name} has the role now.")


def _taken_away(
    request: Request, asking: Principal, kind: Holder, name: str, role: tuple[str, str]
) -> Response:
    with context_of(request).audit.changing(asking.author) as change:
        found = kind.find(change.sql, name)
        kind.change(change, found, grants=[pair for pair in _pairs(found) if pair != role])
    return refreshed(f"{name} has the role no more.")


def _pairs(holder: Account | Group) -> list[tuple[str, str]]:
    return [(grant.role, grant.mlapp_id) for grant in holder.grants]

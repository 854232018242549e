"""Groups: accounts that share roles."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Request, Response
from pydantic import Field

from parallelm.server.access.dependencies import Asking, allow_grants
from parallelm.server.accounts import management
from parallelm.server.accounts.tables import Group as GroupRow
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._resource import IfMatch, require_unchanged, resource, tag_of
from parallelm.server.api._values import Answer
from parallelm.server.api.users import MANAGES, Asked, RoleOnMLApp, pairs, roles_shown
from parallelm.server.context import context_of

ROUTER: Final = resource("groups")
GroupName = Annotated[str, Path(min_length=1, max_length=100, description="Name of a group.")]
_Names = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=10_000)]


class GroupChange(Asked):
    """What is to be different; what is missing stays."""

    roles: Annotated[list[RoleOnMLApp], Field(max_length=1000)] | None = None
    members: _Names | None = None
    """All members that it has from now on; those that the identity provider has put into it stay."""


class NewGroup(Asked):
    """A new group. One that is called like a group of the identity provider has its members at their next sign-in."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["risk-team"])]
    roles: Annotated[list[RoleOnMLApp], Field(max_length=1000, default_factory=list)]
    members: Annotated[_Names, Field(default_factory=list)]


class Group(Answer):
    """A group."""

    name: str
    roles: list[RoleOnMLApp]
    members: list[str]


@ROUTER.get("/groups", dependencies=MANAGES)
def list_groups(request: Request, page: Paging) -> Page[Group]:
    """Groups by name."""
    with context_of(request).database.reading() as sql:
        found = [_shown(each) for each in management.groups(sql)]
    return page.page_of(Group, found, "name")


@ROUTER.post("/groups", status_code=201, dependencies=MANAGES)
def create_group(request: Request, wanted: NewGroup, asking: Asking) -> Group:
    """Make a group. A token with scopes gives it no role that allows more than itself: 403."""
    with context_of(request).audit.changing(asking.author) as change:
        allow_grants(asking, pairs(wanted.roles))
        made = management.create_group(change, wanted.name, pairs(wanted.roles), wanted.members)
        return Group.model_validate(_shown(made))


@ROUTER.get("/groups/{name}", dependencies=MANAGES)
def get_group(request: Request, response: Response, name: GroupName) -> Group:
    """One group; its `ETag` is for `If-Match` of a change."""
    with context_of(request).database.reading() as sql:
        found = _shown(management.group(sql, name))
    response.headers["ETag"] = tag_of(found)
    return Group.model_validate(found)


@ROUTER.patch("/groups/{name}", dependencies=MANAGES)
def change_group(
    request: Request, name: GroupName, wanted: GroupChange, asking: Asking, if_match: IfMatch = None
) -> Group:
    """Change its roles or members. A token with scopes lets nobody have a role that allows more than itself: 403."""
    with context_of(request).audit.changing(asking.author) as change:
        management.one_at_a_time(change.sql)
        found = management.group(change.sql, name)
        before = _shown(found)
        require_unchanged(if_match, before)
        management.change_group(
            change,
            found,
            grants=None if wanted.roles is None else pairs(wanted.roles),
            members=wanted.members,
        )
        allow_grants(asking, _gained(before, _shown(found)))
        return Group.model_validate(_shown(found))


@ROUTER.delete("/groups/{name}", status_code=204, dependencies=MANAGES)
def delete_group(request: Request, name: GroupName, asking: Asking) -> None:
    """Remove it; its members lose its roles."""
    with context_of(request).audit.changing(asking.author) as change:
        management.delete_group(change, management.group(change.sql, name))


def _gained(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[str, str]]:
    """Roles on MLApps that a group lets more people have than before."""
    had, has = ({(each["role"], each["mlapp_id"]) for each in group["roles"]} for group in (before, after))
    return has if set(after["members"]) - set(before["members"]) else has - had


def _shown(found: GroupRow) -> dict[str, Any]:
    return {
        "name": found.name,
        "roles": roles_shown(found.grants),
        "members": sorted(each.account.name for each in found.memberships),
    }

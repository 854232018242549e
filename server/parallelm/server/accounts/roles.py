"""Which roles somebody has: their own and those of their groups, on single MLApps or on all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from parallelm.server.access.matrix import ADMIN, ROLES
from parallelm.server.access.principal import EVERY_MLAPP
from parallelm.server.accounts.tables import Account, Grant, Membership
from parallelm.server.errors import AccountError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from parallelm.server.accounts.tables import Group

RoleOnMLApp = tuple[str, str]
"""A role, and the id of an MLApp or ``*``."""


def roles_of(sql: Session, account_id: int) -> dict[str, frozenset[str]]:
    """Roles by MLApp."""
    groups = select(Membership.group_id).where(Membership.account_id == account_id)
    rows = sql.execute(
        select(Grant.mlapp_id, Grant.role).where(
            or_(Grant.account_id == account_id, Grant.group_id.in_(groups))
        )
    )
    found: dict[str, frozenset[str]] = {}
    for mlapp_id, role in rows:
        found[mlapp_id] = found.get(mlapp_id, frozenset()) | {role}
    return found


def set_grants(holder: Account | Group, wanted: Iterable[RoleOnMLApp]) -> None:
    """Let an account or a group have these roles and no others. Raises ``AccountError``."""
    pairs = dict.fromkeys(wanted)
    for role, mlapp_id in pairs:
        if role not in ROLES:
            raise AccountError(f"there is no role {role!r}; there are: {', '.join(ROLES)}")
        if not mlapp_id or len(mlapp_id) > 200 or not mlapp_id.isprintable():  # noqa: PLR2004 - the column's
            raise AccountError(f"a role is on the id of an MLApp or on {EVERY_MLAPP!r}, not on {mlapp_id!r}")
    there = {(grant.role, grant.mlapp_id): grant for grant in holder.grants}
    for pair, grant in there.items():
        if pair not in pairs:
            holder.grants.remove(grant)
    holder.grants.extend(
        Grant(role=role, mlapp_id=mlapp_id) for role, mlapp_id in pairs if (role, mlapp_id) not in there
    )


def administrators(sql: Session) -> set[int]:
    """Ids of the people who may manage everybody and are not disabled."""
    is_admin = (Grant.role == ADMIN) & (Grant.mlapp_id == EVERY_MLAPP)
    by_group = (
        select(Membership.account_id).join(Grant, Grant.group_id == Membership.group_id).where(is_admin)
    )
    own = select(Grant.account_id).where(is_admin & Grant.account_id.is_not(None))
    rows = sql.scalars(
        select(Account.id).where(
            or_(Account.id.in_(own), Account.id.in_(by_group)),
            Account.disabled_ms.is_(None),
            Account.kind == "person",
        )
    )
    return set(rows)

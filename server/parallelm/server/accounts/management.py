"""What an administrator does to accounts and groups, and everybody to their own: for pages, API and command alike.

Each function works in the transaction of a ``Change`` and leaves its note in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from parallelm.server.accounts import links, passwords, people, sessions, signing_in, tokens
from parallelm.server.accounts.database import INSTALLATION_ID
from parallelm.server.accounts.roles import administrators, roles_of, set_grants
from parallelm.server.accounts.tables import LOCAL, PERSON, SERVICE, Account, Group, Installation, Membership
from parallelm.server.errors import AccountError, PasswordError, UnknownAccountError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from parallelm.server.accounts.audit import Change
    from parallelm.server.accounts.roles import RoleOnMLApp
    from parallelm.server.accounts.tables import Token


def accounts(sql: Session) -> Sequence[Account]:
    """All accounts by name, with roles and groups."""
    found = select(Account).order_by(Account.name).options(*_WITH_ROLES)
    return sql.scalars(found).all()


def groups(sql: Session) -> Sequence[Group]:
    """All groups by name, with roles and members."""
    members = selectinload(Group.memberships).joinedload(Membership.account)
    return sql.scalars(select(Group).order_by(Group.name).options(selectinload(Group.grants), members)).all()


def group(sql: Session, name: str) -> Group:
    """Raises ``UnknownAccountError``."""
    lower = name.strip().lower()
    found = sql.scalar(select(Group).where(Group.name == lower)) if lower.isprintable() else None
    if found is None:
        raise UnknownAccountError(f"there is no group {name[:100]!r}")
    return found


def roles_held(sql: Session, account: Account) -> set[RoleOnMLApp]:
    """Its own roles and those of its groups, as they are now in this transaction."""
    sql.flush()
    return {(role, mlapp_id) for mlapp_id, roles in roles_of(sql, account.id).items() for role in roles}


def one_at_a_time(sql: Session) -> None:
    """Wait until nobody else is between this and the end of a transaction: what is read from here on stays so."""
    sql.get(Installation, INSTALLATION_ID, with_for_update=True)


def create_account(
    change: Change,
    name: str,
    *,
    kind: str = PERSON,
    full_name: str = "",
    grants: Iterable[RoleOnMLApp] = (),
    in_groups: Iterable[str] = (),
) -> Account:
    """A new account without a password: a person chooses one by ``make_link``. Raises ``AccountError``."""
    if kind not in {PERSON, SERVICE}:
        raise AccountError(f"an account is a {PERSON} or a {SERVICE}, not {kind!r}")
    made = people.create(change.sql, name, change.now_ms, kind=kind, full_name=full_name, grants=grants)
    _set_groups(change.sql, made, in_groups)
    change.note("create_account", made.name, kind=kind, roles=_said(made), groups=_groups_said(made))
    return made


def change_account(
    change: Change,
    account: Account,
    *,
    full_name: str | None = None,
    grants: Iterable[RoleOnMLApp] | None = None,
    in_groups: Iterable[str] | None = None,
) -> None:
    """What is None stays. Raises ``AccountError``, also when nobody would be left to manage accounts."""
    if full_name is not None:
        account.full_name = people.checked_text(full_name)
    if grants is not None:
        set_grants(account, grants)
    if in_groups is not None:
        _set_groups(change.sql, account, in_groups)
    _require_administrator(change.sql)
    change.note("change_account", account.name, roles=_said(account), groups=_groups_said(account))


def disable_account(change: Change, account: Account) -> None:
    """End its sessions and let neither password, identity provider nor token in. Raises ``AccountError``."""
    account.disabled_ms = account.disabled_ms or change.now_ms
    _require_administrator(change.sql)
    sessions.end_all(change.sql, account.id)
    change.note("disable_account", account.name)


def enable_account(change: Change, account: Account) -> None:
    """The opposite; it signs in anew."""
    account.disabled_ms = None
    change.note("enable_account", account.name)


def unlock_account(change: Change, account: Account) -> None:
    """Forget its failed attempts."""
    signing_in.unlock(change.sql, account.name)
    change.note("unlock_account", account.name)


def make_link(change: Change, account: Account) -> str:
    """The secret of a link by which a person chooses a password; unlocks the account. Raises ``AccountError``."""
    secret = links.of_account(change.sql, account, change.now_ms)
    signing_in.unlock(change.sql, account.name)
    change.note("make_password_link", account.name)
    return secret


def end_sessions(change: Change, account: Account, *, but: str = "") -> None:
    """Sign an account out everywhere, but for the session of digest ``but``."""
    sessions.end_all(change.sql, account.id, but=but)
    change.note("end_sessions", account.name)


def end_session(change: Change, account: Account, ident: str) -> None:
    """End one session, named by the beginning of its digest. Raises ``UnknownAccountError``."""
    found = [each for each in sessions.all_of(change.sql, account.id) if each.digest.startswith(ident)]
    if len(found) != 1:
        raise UnknownAccountError(f"{account.name} has no session {ident!r}; it may be over already")
    sessions.end(change.sql, found[0].digest)
    change.note("end_session", account.name)


def change_password(change: Change, account: Account, old: str, new: str, *, session: str) -> None:
    """Of one's own, with the old one; other sessions than ``session`` end. Raises ``PasswordError``."""
    if account.password_hash is None:
        raise PasswordError("this account has no password: it signs in by the identity provider")
    if not passwords.fits(old, account.password_hash):
        raise PasswordError("the present password is not right")
    people.set_password(account, new, change.now_ms)
    sessions.end_all(change.sql, account.id, but=session)
    change.note("change_password", account.name)


def create_token(
    change: Change, account: Account, name: str, scopes: Iterable[str] | None, days: int
) -> tuple[Token, str]:
    """A new token and its secret, to be shown once. Raises ``AccountError``."""
    made, secret = tokens.create(change.sql, account, name, scopes, days, change.now_ms)
    said = "all" if made.scopes is None else " ".join(made.scopes)
    change.note("create_token", account.name, token=made.id, name=made.name, scopes=said, days=days)
    return made, secret


def token_of(sql: Session, account_id: int, token_id: int) -> Token:
    """A token of this account; raises ``UnknownAccountError``."""
    found = tokens.get(sql, token_id)
    if found.account_id != account_id:
        raise UnknownAccountError(f"there is no token {token_id}")
    return found


def revoke_token(change: Change, token: Token) -> None:
    """It lets nobody in from now on."""
    if token.revoked_ms is None:
        token.revoked_ms = change.now_ms
        change.note("revoke_token", token.account.name, token=token.id, name=token.name)


def create_group(
    change: Change, name: str, grants: Iterable[RoleOnMLApp] = (), members: Iterable[str] = ()
) -> Group:
    """A new group. Raises ``AccountError``."""
    name = people.checked_name(name)
    if change.sql.scalar(select(Group.id).where(Group.name == name)) is not None:
        raise AccountError(f"there is a group {name!r} already")
    made = Group(name=name, created_ms=change.now_ms)
    set_grants(made, grants)
    change.sql.add(made)
    change.sql.flush()
    _set_members(change.sql, made, members)
    change.note("create_group", name, roles=_said(made), members=_members_said(made))
    return made


def change_group(
    change: Change,
    changed: Group,
    *,
    grants: Iterable[RoleOnMLApp] | None = None,
    members: Iterable[str] | None = None,
) -> None:
    """What is None stays. Members that the identity provider has put into it stay. Raises ``AccountError``."""
    if grants is not None:
        set_grants(changed, grants)
    if members is not None:
        _set_members(change.sql, changed, members)
    _require_administrator(change.sql)
    change.note("change_group", changed.name, roles=_said(changed), members=_members_said(changed))


def delete_group(change: Change, gone: Group) -> None:
    """Its members lose its roles. Raises ``AccountError``."""
    change.sql.delete(gone)
    _require_administrator(change.sql)
    change.note("delete_group", gone.name)


_WITH_ROLES = (
    selectinload(Account.grants),
    selectinload(Account.memberships).joinedload(Membership.group).selectinload(Group.grants),
)


def _set_groups(sql: Session, account: Account, names: Iterable[str]) -> None:
    wanted = {found.id: found for found in (group(sql, name) for name in names)}
    there = {each.group_id: each for each in account.memberships}
    for group_id, membership in there.items():
        if group_id not in wanted and membership.source == LOCAL:
            account.memberships.remove(membership)
    for group_id, found in wanted.items():
        if group_id not in there:
            account.memberships.append(Membership(group=found, source=LOCAL))
    sql.flush()


def _set_members(sql: Session, changed: Group, names: Iterable[str]) -> None:
    wanted = {found.id: found for found in (people.find(sql, name) for name in names)}
    there = {each.account_id: each for each in changed.memberships}
    for account_id, membership in there.items():
        if account_id not in wanted and membership.source == LOCAL:
            changed.memberships.remove(membership)
    for account_id, found in wanted.items():
        if account_id not in there:
            changed.memberships.append(Membership(account=found, source=LOCAL))
    sql.flush()


def _require_administrator(sql: Session) -> None:
    sql.flush()
    one_at_a_time(sql)  # two who take the role from each other: the second one sees what the first has done
    if not administrators(sql):
        raise AccountError(
            "nobody would be left who may manage accounts; give somebody else the role admin on all MLApps first"
        )


def _said(holder: Account | Group) -> str:
    return ", ".join(sorted(f"{grant.role} on {grant.mlapp_id}" for grant in holder.grants))


def _groups_said(account: Account) -> str:
    return ", ".join(sorted(each.group.name for each in account.memberships))


def _members_said(found: Group) -> str:
    return ", ".join(sorted(each.account.name for each in found.memberships))

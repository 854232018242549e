"""The account of somebody who signed in by the identity provider, with the groups that it says they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from parallelm.server.accounts import people
from parallelm.server.accounts.tables import OIDC, Account, Group, Membership
from parallelm.server.errors import AccountError, IdentityProviderError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from parallelm.server.accounts.oidc import Identity


def account_of(sql: Session, identity: Identity, now_ms: int) -> Account:
    """Theirs, made at their first sign-in. Known by issuer and subject: names can change hands.

    Raises ``IdentityProviderError`` where a local account has the name, which nobody takes over so, and for a disabled one.
    """
    account = sql.scalar(
        select(Account).where(
            Account.oidc_issuer == identity.issuer, Account.oidc_subject == identity.subject
        )
    )
    if account is None:
        account = _made(sql, identity, now_ms)
    if account.disabled_ms is not None:
        raise IdentityProviderError(f"the account {account.name} is disabled; ask an administrator")
    if identity.full_name.isprintable():
        account.full_name = identity.full_name[:200] or account.full_name
    _set_groups(sql, account, identity)
    return account


def _made(sql: Session, identity: Identity, now_ms: int) -> Account:
    try:
        account = people.create(sql, identity.name, now_ms)
    except AccountError as error:
        raise IdentityProviderError(
            f"no account can be made of the identity provider's answer: {error}"
        ) from error
    account.oidc_issuer, account.oidc_subject = identity.issuer, identity.subject
    return account


def _set_groups(sql: Session, account: Account, identity: Identity) -> None:
    wanted = {each.strip().lower() for each in identity.groups if each.isprintable()}
    there = {each.group_id for each in account.memberships}
    for membership in list(account.memberships):
        if membership.source == OIDC and membership.group.name not in wanted:
            account.memberships.remove(membership)
    for group in sql.scalars(select(Group).where(Group.name.in_(wanted))):
        if group.id not in there:
            account.memberships.append(Membership(group=group, source=OIDC))
    sql.flush()

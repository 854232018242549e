"""Roles on an MLApp that is erased: they go, and the audit log gets a record for each account and group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from parallelm.server.accounts.tables import Account, Grant, Group

if TYPE_CHECKING:
    from parallelm.operations.authors import Author
    from parallelm.server.accounts.audit import AuditLog
    from parallelm.server.accounts.database import Database


@dataclass(frozen=True, slots=True)
class Roles:
    """A place of ``parallelm.operations.erasing``."""

    database: Database
    audit: AuditLog
    mlapp_id: str

    @property
    def what(self) -> str:
        """What is counted, in the plural."""
        return "roles"

    def count(self) -> int:
        """Roles of accounts and groups on this MLApp."""
        with self.database.reading() as sql:
            return (
                sql.scalar(select(func.count()).select_from(Grant).where(Grant.mlapp_id == self.mlapp_id))
                or 0
            )

    def erase(self, who: Author) -> int:
        """Take them away; how many that were. The records of it name no MLApp."""
        with self.audit.changing(who) as change:
            holders = change.sql.execute(
                select(Account.name, Group.name, Grant.role)
                .select_from(Grant)
                .outerjoin(Account, Account.id == Grant.account_id)
                .outerjoin(Group, Group.id == Grant.group_id)
                .where(Grant.mlapp_id == self.mlapp_id)
            ).all()
            for account, group, role in holders:
                change.note("erase_role", account or group, kind="account" if account else "group", role=role)
            change.sql.execute(delete(Grant).where(Grant.mlapp_id == self.mlapp_id))
        return len(holders)

"""What the SQL database has of an MLApp or a label that is erased: roles, with records in the audit log, kept answers and tasks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, delete, func, or_, select

from parallelm.server.accounts.tables import Account, AnsweredRequest, Grant, Group, Task
from parallelm.warehouse.erasure import OfMLApp

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from parallelm.operations.authors import Author
    from parallelm.operations.erasing import Place
    from parallelm.server.accounts.audit import AuditLog
    from parallelm.server.accounts.database import Database
    from parallelm.warehouse.erasure import Selection

KIND: Final = "erase"
"""Of the server's tasks that erase."""
_OF_ERASURE: Final = f'"kind":"{KIND}"'
"""In the answers to who began one."""


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


@dataclass(frozen=True, slots=True)
class Answers:
    """A place of ``parallelm.operations.erasing``: answers that repeated requests get, which have ``text`` among their values."""

    database: Database
    text: str

    @property
    def what(self) -> str:
        """What is counted, in the plural."""
        return "kept answers of the API"

    def count(self) -> int:
        """Answers with this text."""
        with self.database.reading() as sql:
            return sql.scalar(select(func.count()).select_from(AnsweredRequest).where(self._has_text())) or 0

    def erase(self, who: Author) -> int:  # noqa: ARG002 - the record of the erasure says who
        """Forget them; how many that were."""
        with self.database.writing() as sql:
            gone = sql.scalars(
                delete(AnsweredRequest).where(self._has_text()).returning(AnsweredRequest.digest)
            ).all()
        return len(gone)

    def _has_text(self) -> ColumnElement[bool]:
        """As a value of JSON, or as a step of an address."""
        value = json.dumps(self.text, ensure_ascii=False)
        named = or_(
            *(
                AnsweredRequest.answer.contains(each, autoescape=True)
                for each in (value, f"/{value[1:-1]}/", f"/{value[1:]}")
            )
        )
        # An erasure's own answer names it as its record does, and is nothing that would be left of it.
        return and_(named, ~AnsweredRequest.answer.contains(_OF_ERASURE, autoescape=True))


@dataclass(frozen=True, slots=True)
class Tasks:
    """A place of ``parallelm.operations.erasing``: tasks of an MLApp, or that have ``text`` in what is told of them.

    Tasks that erase stay: they are the way to the end of an erasure, and go 30 days later.
    """

    database: Database
    text: str

    @property
    def what(self) -> str:
        """What is counted, in the plural."""
        return "tasks"

    def count(self) -> int:
        """Tasks about it."""
        with self.database.reading() as sql:
            return sql.scalar(select(func.count()).select_from(Task).where(self._is_about_it())) or 0

    def erase(self, who: Author) -> int:  # noqa: ARG002 - the record of the erasure says who
        """Forget them; how many that were."""
        with self.database.writing() as sql:
            gone = sql.scalars(delete(Task).where(self._is_about_it()).returning(Task.task_id)).all()
        return len(gone)

    def _is_about_it(self) -> ColumnElement[bool]:
        in_python = repr(self.text)
        in_json = json.dumps(self.text)
        named = or_(
            Task.mlapp_id == self.text,
            Task.result.contains(in_json, autoescape=True),
            *(column.contains(in_python, autoescape=True) for column in (Task.about, Task.step, Task.reason)),
        )
        return and_(named, Task.kind != KIND)


def places(database: Database, audit: AuditLog, selection: Selection) -> tuple[Place, ...]:
    """All of them for a selection."""
    if isinstance(selection, OfMLApp):
        mlapp_id = selection.mlapp_id
        return Roles(database, audit, mlapp_id), Answers(database, mlapp_id), Tasks(database, mlapp_id)
    return Answers(database, selection.value), Tasks(database, selection.value)

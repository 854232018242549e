"""Actions under idempotency keys: of several requests with one key, in several processes, one acts and all get its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from parallelm.server.accounts.tables import AnsweredRequest

if TYPE_CHECKING:
    from parallelm.server.accounts.database import Database

KEEP_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a key."""

    is_ours: bool
    """The one who asks holds it now and acts."""
    body_digest: str = ""
    answer: str | None = None
    begun_ms: int = 0
    held_until_ms: int = 0


def hold(database: Database, digest: str, body_digest: str, now_ms: int, hold_ms: int) -> Held:
    """Take a key that nobody has used, else what is known of it."""
    made = AnsweredRequest(
        digest=digest,
        body_digest=body_digest,
        begun_ms=now_ms,
        held_until_ms=now_ms + hold_ms,
        answer=None,
        expires_ms=now_ms + KEEP_MS,
    )
    try:
        with database.writing() as sql:
            sql.execute(delete(AnsweredRequest).where(AnsweredRequest.expires_ms < now_ms))
            sql.add(made)
            sql.flush()
    except IntegrityError:
        with database.reading() as sql:
            found = sql.get(AnsweredRequest, digest)
        if found is None:  # the one who held it has just given it back
            return hold(database, digest, body_digest, now_ms, hold_ms)
        return Held(False, found.body_digest, found.answer, found.begun_ms, found.held_until_ms)
    return Held(True, begun_ms=now_ms)


def take_over(database: Database, digest: str, held: Held, now_ms: int, hold_ms: int) -> bool:
    """Hold a key that was left without an answer; False when somebody else was faster."""
    with database.writing() as sql:
        taken = sql.execute(
            update(AnsweredRequest)
            .where(
                AnsweredRequest.digest == digest,
                AnsweredRequest.held_until_ms == held.held_until_ms,
                AnsweredRequest.answer.is_(None),
            )
            .values(held_until_ms=now_ms + hold_ms)
            .returning(AnsweredRequest.digest)
        ).all()
    return bool(taken)


def answer(database: Database, digest: str, text: str) -> None:
    """Keep the answer."""
    with database.writing() as sql:
        sql.execute(update(AnsweredRequest).where(AnsweredRequest.digest == digest).values(answer=text))


def give_back(database: Database, digest: str) -> None:
    """Forget a key: nothing was done."""
    with database.writing() as sql:
        sql.execute(delete(AnsweredRequest).where(AnsweredRequest.digest == digest))


def leave(database: Database, digest: str, now_ms: int) -> None:
    """Stop working on it: it is not clear whether something was done."""
    with database.writing() as sql:
        sql.execute(
            update(AnsweredRequest).where(AnsweredRequest.digest == digest).values(held_until_ms=now_ms)
        )

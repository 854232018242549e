"""The tables of the SQL database. Times are milliseconds since 1970, so that every database keeps them alike.

No secret is in them: passwords as argon2id, what opens something (sessions, tokens, links) as SHA-256 of 32 random bytes.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

PERSON: Final = "person"
SERVICE: Final = "service"
"""Kinds of accounts: a service account has no password and signs in nowhere; it has tokens."""

LOCAL: Final = "local"
OIDC: Final = "oidc"
"""Where a membership of a group comes from: an administrator, or the identity provider at each sign-in."""

_DIGEST: Final = String(64)
_NAME: Final = String(100)


class Base(DeclarativeBase):
    """Of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Installation(Base):
    """What all processes of an installation share, by name."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    value: Mapped[str] = mapped_column(String(200))


class Account(Base):
    """A person, or a program that acts in its own name."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("oidc_issuer", "oidc_subject"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(_NAME, unique=True)
    """In lower case."""
    kind: Mapped[str] = mapped_column(String(10), default=PERSON)
    full_name: Mapped[str] = mapped_column(String(200), default="")
    password_hash: Mapped[str | None] = mapped_column(String(200))
    password_changed_ms: Mapped[int | None] = mapped_column(BigInteger)
    oidc_issuer: Mapped[str | None] = mapped_column(String(300))
    oidc_subject: Mapped[str | None] = mapped_column(String(300))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    disabled_ms: Mapped[int | None] = mapped_column(BigInteger)
    last_sign_in_ms: Mapped[int | None] = mapped_column(BigInteger)

    grants: Mapped[list[Grant]] = relationship(cascade="all, delete-orphan", order_by="Grant.id")
    memberships: Mapped[list[Membership]] = relationship(
        cascade="all, delete-orphan", back_populates="account"
    )


class Group(Base):
    """Accounts that share roles. Members come from an administrator, or from a claim of the identity provider."""

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(_NAME, unique=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)

    grants: Mapped[list[Grant]] = relationship(cascade="all, delete-orphan", order_by="Grant.id")
    memberships: Mapped[list[Membership]] = relationship(cascade="all, delete-orphan", back_populates="group")


class Membership(Base):
    """An account in a group."""

    __tablename__ = "memberships"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[int] = mapped_column(
        ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    source: Mapped[str] = mapped_column(String(10), default=LOCAL)

    account: Mapped[Account] = relationship(back_populates="memberships")
    group: Mapped[Group] = relationship(back_populates="memberships")


class Grant(Base):
    """A role of an account or of a group, on one MLApp or on all (``*``)."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (group_id IS NULL)", name="one_holder"),
        UniqueConstraint("account_id", "mlapp_id", "role"),
        UniqueConstraint("group_id", "mlapp_id", "role"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"))
    mlapp_id: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))


class BrowserSession(Base):
    """Somebody who is signed in with one browser."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    authenticated_by: Mapped[str] = mapped_column(String(20))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int] = mapped_column(BigInteger)
    """To the minute."""
    expires_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    address: Mapped[str] = mapped_column(_NAME, default="")
    browser: Mapped[str] = mapped_column(String(200), default="")

    account: Mapped[Account] = relationship()


class Token(Base):
    """What a program shows instead of a session."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(_DIGEST, unique=True)
    name: Mapped[str] = mapped_column(_NAME)
    hint: Mapped[str] = mapped_column(String(20))
    """Its first characters, by which its owner knows it again."""
    scopes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Actions that it is limited to; None: all that its account may do."""
    created_ms: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int | None] = mapped_column(BigInteger)
    """To the minute."""
    revoked_ms: Mapped[int | None] = mapped_column(BigInteger)

    account: Mapped[Account] = relationship()


class OneTimeLink(Base):
    """A link that lets somebody choose a password once: of the first administrator, or of an account."""

    __tablename__ = "one_time_links"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    """None: it makes the first administrator."""
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class OidcRequest(Base):
    """Somebody who has been sent to the identity provider and is expected back."""

    __tablename__ = "oidc_requests"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    """Of the state."""
    browser_digest: Mapped[str] = mapped_column(_DIGEST)
    """Of a cookie: only the browser that was sent may come back."""
    nonce: Mapped[str] = mapped_column(_NAME)
    code_verifier: Mapped[str] = mapped_column(String(200))
    go_on: Mapped[str] = mapped_column(String(2000))
    expires_ms: Mapped[int] = mapped_column(BigInteger, index=True)


class FailedAttempts(Base):
    """Failures of late of one account name or address, whether or not there is such an account."""

    __tablename__ = "failed_attempts"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    last_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    locked_until_ms: Mapped[int] = mapped_column(BigInteger, default=0)


class AuditRecord(Base):
    """An action record that is still to be sent: written with the change that it tells of, or not at all."""

    __tablename__ = "audit_records"

    action_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A ``UserAction``."""
    claimed_until_ms: Mapped[int] = mapped_column(BigInteger, default=0, index=True)
    """One process sends it; another one when that has not come to an end by then."""


class RequestAllowance(Base):
    """How many requests of an account or address the processes of this server have set aside in a minute."""

    __tablename__ = "request_allowances"

    who: Mapped[str] = mapped_column(String(80), primary_key=True)
    window: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Minute since 1970."""
    taken: Mapped[int] = mapped_column(Integer)


class AnsweredRequest(Base):
    """An action under an idempotency key: who holds it now, or what it answered."""

    __tablename__ = "answered_requests"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    """Of the account and its key."""
    body_digest: Mapped[str] = mapped_column(_DIGEST)
    """Of what was asked."""
    begun_ms: Mapped[int] = mapped_column(BigInteger)
    held_until_ms: Mapped[int] = mapped_column(BigInteger)
    """Until then a process works on it; later it has ended without an answer."""
    answer: Mapped[str | None] = mapped_column(Text)
    """JSON; None while there is none."""
    expires_ms: Mapped[int] = mapped_column(BigInteger, index=True)


class Task(Base):
    """Work that goes on after it was asked for, in one of the server's processes."""

    __tablename__ = "tasks"

    task_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(_NAME)
    alone: Mapped[str | None] = mapped_column(_NAME, unique=True)
    """Its kind while it goes on, so that there is one of a kind at a time."""
    mlapp_id: Mapped[str] = mapped_column(Text)
    """Empty: it concerns no single MLApp."""
    about: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(_NAME)
    begun_ms: Mapped[int] = mapped_column(BigInteger)
    seen_ms: Mapped[int] = mapped_column(BigInteger)
    """When its process last reported."""
    state: Mapped[str] = mapped_column(String(20))
    share: Mapped[float] = mapped_column(Float)
    step: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    result: Mapped[str] = mapped_column(Text)
    """JSON."""

"""Errors of the server."""

from __future__ import annotations


class ServerError(Exception):
    """Base of this room's errors. The message says what was wrong and what to do."""


class AddressError(ServerError):
    """The server cannot listen where it should."""


class TransportError(ServerError):
    """It would listen to other hosts without TLS."""


class DatabaseError(ServerError):
    """The SQL database cannot be used."""


class AccountError(ServerError):
    """Something about an account, a group or a token cannot be as asked."""


class PasswordError(AccountError):
    """A password is too easily guessed."""


class UnknownAccountError(AccountError):
    """There is no such account, group, session or token."""


class LinkError(AccountError):
    """A one-time link is used, expired, or never was."""


class TaskGoesOnError(ServerError):
    """Another task of this kind goes on."""


class UnknownTaskError(ServerError):
    """There is no such task."""


class IdentityProviderError(ServerError):
    """Somebody cannot sign in by the identity provider."""


class SignInError(ServerError):
    """Name and password do not fit, or the account is disabled. Does not say which."""

    account_name = ""
    """Of the account, where there is one: for the audit log. What is typed as a name may be a password."""


class LockedOutError(SignInError):
    """Too many failures; says when to try again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BusyError(LockedOutError):
    """Too many passwords are being checked at once."""

"""Errors of the notifier's edge."""

from __future__ import annotations


class NotifierError(Exception):
    """The notifier cannot go on; the message says why and what to do."""


class SessionLostError(Exception):
    """What this process knows may no longer be what is stored: it must join and read again."""


class FencedInstanceError(SessionLostError):
    """Another member has joined the group under the name of this one."""

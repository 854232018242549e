"""Errors of the server."""

from __future__ import annotations


class ServerError(Exception):
    """Base of this room's errors. The message says what was wrong and what to do."""


class AddressError(ServerError):
    """The server cannot listen where it should."""

"""Errors of supervision."""

from __future__ import annotations


class SupervisionError(Exception):
    """What was asked of a supervisor cannot be done; the message says what is wrong and what to do."""


class ServiceFailedError(SupervisionError):
    """A service did not come up at its first start."""


class PortUnavailableError(SupervisionError):
    """A port is in use, or none is free."""

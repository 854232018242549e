"""Errors of what a person asks for. Each message says what was wrong, the value, and what to do."""

from __future__ import annotations


class OperationError(Exception):
    """Base of this room's errors."""


class KpiFileError(OperationError):
    """A file as a whole cannot be read as KPI points, or not without being asked how."""

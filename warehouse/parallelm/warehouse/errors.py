"""What can go wrong with the warehouse."""

from __future__ import annotations


class WarehouseError(Exception):
    """Base of this package's errors."""


class MigrationError(WarehouseError):
    """The database does not match the migrations of this code. The message says what to do."""


class ServerTooOldError(MigrationError):
    """The ClickHouse server is older than what the migrations need."""


class RetentionError(WarehouseError):
    """The settings ask for rows to be kept in a way that would make other rows mean something else."""


class QueryError(WarehouseError):
    """A question to the warehouse cannot be answered as asked: unknown KPI, too few points, wrong time range."""

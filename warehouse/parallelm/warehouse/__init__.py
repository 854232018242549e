"""The ClickHouse contract: migrations, and the queries on it."""

from parallelm.warehouse.drift import Difference, drift
from parallelm.warehouse.errors import MigrationError, QueryError, WarehouseError
from parallelm.warehouse.migrations import Migration, MigrationStatus, migrate, status

__all__ = [
    "Difference",
    "Migration",
    "MigrationError",
    "MigrationStatus",
    "QueryError",
    "WarehouseError",
    "drift",
    "migrate",
    "status",
]

"""What an upload compares with: where ClickHouse is away, everything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from parallelm.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable

Changed = TypeVar("Changed")


def all_or_changed(compare: Callable[[], Changed], everything: Changed) -> tuple[Changed, Exception | None]:
    """What differs from what is known, or everything with the reason why that is not known."""
    from clickhouse_driver import errors

    try:
        return compare(), None
    except (WarehouseError, errors.Error, OSError, EOFError) as error:
        return everything, error

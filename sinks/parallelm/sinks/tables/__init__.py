"""Which table each topic goes to: one file a topic, whose ``TABLE`` is found here by being in this folder."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol

from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.registry import Registry
    from parallelm.schemas.topics import Topic
    from parallelm.sinks.rows import RowMaker


class StoredTable(Protocol):
    """Where the records of one topic are stored, and how they become rows."""

    @property
    def topic(self) -> Topic:
        """The topic."""

    @property
    def counted_in(self) -> str:
        """Table in which its rows are found."""

    def row_maker(self, registry: Registry) -> RowMaker:
        """What makes the rows."""


def _found() -> dict[str, StoredTable]:
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    tables: list[StoredTable] = [module.TABLE for module in modules]
    return {table.topic.name: table for table in tables}


TABLES: Mapping[str, StoredTable] = _found()
"""Topic name to its table."""

STORED_TOPICS: tuple[Topic, ...] = tuple(topic for topic in CATALOGUE if topic.name in TABLES)
"""Topics that the warehouse stores, in the order of the catalogue; a test holds them against ``Topic.internal``."""


def counted_in(topic: Topic) -> str:
    """Table in which the rows of a stored topic are found."""
    return TABLES[topic.name].counted_in


def row_maker(topic: Topic, registry: Registry) -> RowMaker:
    """What makes the rows of a stored topic."""
    return TABLES[topic.name].row_maker(registry)

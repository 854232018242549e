"""Runs the warehouse's queries, with a time limit and a read-only user."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings

T = TypeVar("T")


class Platform:
    """Queries to the warehouse. Each raises ``MLOpsConnectionException`` if no answer arrives in time."""

    def __init__(self, settings: Settings, within_s: float | None = None) -> None:
        limit_s = settings.component.query_timeout_s
        if within_s is not None:
            limit_s = min(limit_s, within_s)
        self.settings = dataclasses.replace(
            settings,
            clickhouse=dataclasses.replace(
                settings.clickhouse, connect_timeout_s=limit_s, query_timeout_s=limit_s
            ),
        )

    def ask(self, question: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Answer of one of the functions of ``parallelm.warehouse.queries``."""
        from clickhouse_driver.errors import Error, ServerException

        from parallelm.warehouse.queries import QueryError

        clickhouse = self.settings.clickhouse
        where = f"ClickHouse at {clickhouse.host}:{clickhouse.port} (database {clickhouse.database!r})"
        try:
            return question(self.settings, *arguments, **options)
        except QueryError as error:
            raise MLOpsException(str(error)) from error
        except ImportError as error:
            raise MLOpsException(
                f"this call returns a DataFrame and needs pandas: pip install pandas ({error})"
            ) from error
        except ServerException as error:
            message = " ".join(str(error.message).partition("Stack trace:")[0].split())
            raise MLOpsConnectionException(f"{where} refused: {message}") from error
        except (Error, OSError, EOFError) as error:
            raise MLOpsConnectionException(
                f"{where} gave no answer within {clickhouse.query_timeout_s:g} s: {error}"
            ) from error

"""What the library asks the platform: ClickHouse over its native protocol, with a time limit and a read-only user."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.connections import Settings
    from parallelm.warehouse.queries import DeployedModel

T = TypeVar("T")

_DEFINITION = """
    SELECT name, model_policy, health_threshold, canary_threshold, nodes.node_id, nodes.name, nodes.pipeline
    FROM mlapps_current
    WHERE mlapp_id = %(mlapp_id)s
"""

_AGENTS = """
    SELECT node_id, agent_id, any(hostname) AS hostname, max(pipeline_instance_id) AS pipeline_instance_id
    FROM (
        SELECT pipelines.node_id AS node_id, agent_id, hostname,
               pipelines.pipeline_instance_id AS pipeline_instance_id, pipelines.mlapp_id AS mlapp_id
        FROM agents_current ARRAY JOIN pipelines.mlapp_id, pipelines.node_id, pipelines.pipeline_instance_id
        UNION ALL
        SELECT node_id, agent_id, agent_id AS hostname, '' AS pipeline_instance_id, mlapp_id
        FROM statistics_1h_state
        WHERE mlapp_id = %(mlapp_id)s
        GROUP BY mlapp_id, node_id, agent_id
    )
    WHERE mlapp_id = %(mlapp_id)s
    GROUP BY node_id, agent_id
    ORDER BY node_id, agent_id
"""

_MODEL = """
    SELECT *, toUnixTimestamp64Milli(event_time) AS created_ms FROM models WHERE model_id = %(model_id)s LIMIT 1
"""

_TRAINING_HISTOGRAMS = """
    SELECT feature, kind, edges, categories, weights, model_id, event_time
    FROM histograms
    WHERE model_id = %(model_id)s AND labels[%(label)s] = %(value)s
    ORDER BY event_time DESC, _offset DESC
    LIMIT 1 BY feature
"""


class Platform:
    """Questions to the warehouse. Each raises ``MLOpsConnectionException`` when no answer comes in time."""

    def __init__(self, settings: Settings) -> None:
        limit_s = settings.component.query_timeout_s
        self.settings = dataclasses.replace(
            settings,
            clickhouse=dataclasses.replace(
                settings.clickhouse, connect_timeout_s=limit_s, query_timeout_s=limit_s
            ),
        )

    def ask(self, question: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Answer of one of the warehouse's query functions that take the settings."""
        from clickhouse_driver.errors import Error, ServerException

        from parallelm.warehouse.errors import QueryError

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
            told = " ".join(str(error.message).partition("Stack trace:")[0].split())
            raise MLOpsConnectionException(f"{where} refused: {told}") from error
        except (Error, OSError, EOFError) as error:
            raise MLOpsConnectionException(
                f"{where} gave no answer within {clickhouse.query_timeout_s:g} s: {error}"
            ) from error

    def deployed_model(self, mlapp_id: str, node_id: str) -> DeployedModel | None:
        """Model of the latest deployment to a node that is requested, accepted or active."""
        from parallelm.warehouse.queries import last_deployed_model

        def question(settings: Settings) -> DeployedModel | None:
            client = clickhouse_client(settings.clickhouse)
            try:
                return last_deployed_model(client, mlapp_id, node_id)
            finally:
                client.disconnect()

        return self.ask(question)

    def model(self, model_id: str) -> dict[str, Any] | None:
        """A model's announcement."""
        rows = self.rows(_MODEL, {"model_id": model_id})
        return rows[0] if rows else None

    def training_histograms(self, model_id: str, label: tuple[str, str]) -> list[dict[str, Any]]:
        """Histograms of the newest report about a model with this label, one a feature."""
        return self.rows(_TRAINING_HISTOGRAMS, {"model_id": model_id, "label": label[0], "value": label[1]})

    def definition(self, mlapp_id: str) -> dict[str, Any] | None:
        """The definition of an MLApp that holds; None when it has none."""
        rows = self.rows(_DEFINITION, {"mlapp_id": mlapp_id})
        return rows[0] if rows else None

    def agents(self, mlapp_id: str) -> list[dict[str, Any]]:
        """Hosts that run pipelines of an MLApp, or have reported for it, by node."""
        return self.rows(_AGENTS, {"mlapp_id": mlapp_id})

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of a query as dicts."""

        def question(settings: Settings) -> list[dict[str, Any]]:
            client = clickhouse_client(settings.clickhouse)
            try:
                found, columns = client.execute(sql, parameters, with_column_types=True)
            finally:
                client.disconnect()
            names = [name for name, _ in columns]
            return [dict(zip(names, row, strict=True)) for row in found]

        return self.ask(question)

"""What the library asks the platform: ClickHouse over its native protocol, with a time limit and a read-only user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mlops.mlops_exception import MLOpsConnectionException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings

_DEPLOYED_MODEL = """
    SELECT model_id
    FROM (
        SELECT
            deployment_id,
            any(deployments.model_id) AS model_id,
            argMax(state, (ingested_at, _partition, _offset)) AS newest_state,
            min((ingested_at, _partition, _offset)) AS decided
        FROM deployments
        WHERE mlapp_id = %(mlapp_id)s AND node_id = %(node_id)s
        GROUP BY deployment_id
    )
    WHERE newest_state IN ('requested', 'accepted', 'active')
    ORDER BY decided DESC
    LIMIT 1
"""

_MODEL = "SELECT * FROM models WHERE model_id = %(model_id)s LIMIT 1"

_TRAINING_HISTOGRAMS = """
    SELECT feature, kind, edges, categories, weights
    FROM histograms
    WHERE model_id = %(model_id)s AND labels[%(label)s] = %(value)s
    ORDER BY event_time DESC, _offset DESC
    LIMIT 1 BY feature
"""


class Platform:
    """Questions to the warehouse. Each raises ``MLOpsConnectionException`` when no answer comes in time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def deployed_model_id(self, mlapp_id: str, node_id: str) -> str | None:
        """Model of the latest deployment to a node that is requested, accepted or active."""
        rows = self.rows(_DEPLOYED_MODEL, {"mlapp_id": mlapp_id, "node_id": node_id})
        return str(rows[0]["model_id"]) if rows else None

    def model(self, model_id: str) -> dict[str, Any] | None:
        """A model's announcement."""
        rows = self.rows(_MODEL, {"model_id": model_id})
        return rows[0] if rows else None

    def training_histograms(self, model_id: str, label: tuple[str, str]) -> list[dict[str, Any]]:
        """Histograms of the newest report about a model with this label, one a feature."""
        return self.rows(_TRAINING_HISTOGRAMS, {"model_id": model_id, "label": label[0], "value": label[1]})

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of a query as dicts, within ``query_timeout_s``."""
        from clickhouse_driver.errors import Error

        limit_s = self._settings.component.query_timeout_s
        clickhouse = self._settings.clickhouse
        client = clickhouse_client(
            clickhouse,
            connect_timeout=limit_s,
            send_receive_timeout=limit_s,
            sync_request_timeout=limit_s,
            settings={"max_execution_time": max(1, int(limit_s))},
        )
        try:
            found, columns = client.execute(sql, parameters, with_column_types=True)
        except (Error, OSError, EOFError) as error:
            raise MLOpsConnectionException(
                f"ClickHouse at {clickhouse.host}:{clickhouse.port} (database {clickhouse.database!r}) gave no answer "
                f"within {limit_s:g} s: {error}"
            ) from error
        finally:
            client.disconnect()
        names = [name for name, _ in columns]
        return [dict(zip(names, row, strict=True)) for row in found]

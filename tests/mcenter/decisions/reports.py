"""Reports of a component, as rules are tried on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.records import Origin, Series, StatisticsBatch
from parallelm.schemas.topics import STATISTICS, origin_key
from tests.stream_processors.live import START

if TYPE_CHECKING:
    from .conftest import Decisions

MINUTE = 60_000


def report(
    decisions: Decisions, agent: str, minute: float, series: list[tuple[str, dict[str, str], list[float]]]
) -> None:
    """One record: series by name and labels, with values a second apart."""
    origin = Origin(
        mlapp_id=decisions.cluster.mlapp, node_id="predict", pipeline_instance_id="", agent_id=agent
    )
    batch = StatisticsBatch(
        origin=origin,
        producer_id=agent,
        seq=0,
        series=[
            Series(
                name=name, model_id="m1", category="TIME_SERIES", graph_type="LINEGRAPH", labels=labels,
                timestamps_ms=[START + minute * MINUTE + 1000 * at for at in range(len(values))], values=values,
            )
            for name, labels, values in series
        ],
    )  # fmt: skip
    decisions.cluster.send_bytes(STATISTICS, origin_key(origin), decisions.cluster.codec.encode(batch))

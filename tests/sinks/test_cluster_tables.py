"""A sink and the tables of a cluster: it inserts into the local ones, and all are read under their plain names."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse.erasure import OfMLApp, count_rows
from tests.clickhouse_cluster import run_on_this_host, running_hosts, without_replication
from tests.sinks import samples
from tests.sinks.conftest import Platform
from tests.sinks.test_faults import assert_exact, send_statistics

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings


def test_what_a_sink_inserts_on_a_cluster_is_read_under_the_plain_names(
    settings: Settings, tmp_path: Path
) -> None:
    with running_hosts(tmp_path, ("a",), {"alone": ("a",)}) as (host,):
        clickhouse = dataclasses.replace(
            host.clickhouse, database="mcenter", cluster="alone", shards=f"a = 127.0.0.1:{host.engine.port}"
        )
        run_on_this_host(host.engine.client(), clickhouse, without_replication)
        create_topics(settings)
        platform = Platform(dataclasses.replace(settings, clickhouse=clickhouse))
        with platform.sink():
            send_statistics(platform, 50)
            platform.send(topics.STRUCTURED_STATISTICS, samples.structured())
            platform.send(topics.PREDICTIONS, samples.predictions(["1"], scores=[0.5]))
            platform.send(topics.EVENTS, samples.event())
            assert_exact(platform, 50)
            for table in (
                "structured_statistics",
                "structured_statistics_local",
                "predictions_local",
                "events",
            ):
                platform.wait(f"SELECT count() > 0 FROM {table}", 1)
            platform.wait("SELECT count() FROM histograms", 2)
        assert platform.value("SELECT count() FROM statistics_local") == 150
        found = count_rows(platform.settings, OfMLApp("app"))
        assert found["statistics"] == 150, "what is erased is counted under the plain names, too"
        assert not {table for table in found if table.endswith("_local")}
        platform.client.disconnect()

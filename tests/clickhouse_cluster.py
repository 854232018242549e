"""Engines that know of clusters: the packaged ClickHouse with a configuration of shards, macros and Keeper."""

from __future__ import annotations

import dataclasses
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from parallelm.connections import ClickHouseSettings
from parallelm.warehouse.migrations import all_statements
from tests.mcenter.engine.conftest import PASSWORD, EngineProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clickhouse_driver import Client


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """One engine, and how to reach it."""

    engine: EngineProcess
    shard: str

    @property
    def clickhouse(self) -> ClickHouseSettings:
        return ClickHouseSettings(port=self.engine.port, http_port=self.engine.http_port, password=PASSWORD)


@contextmanager
def running_hosts(
    folder: Path, shards: Sequence[str], clusters: Mapping[str, Sequence[str]], keeper_port: int | None = None
) -> Iterator[list[Host]]:
    """An engine for each shard; ``clusters`` are the names under which they know each other, with the shards of each."""
    with ExitStack() as ends:
        hosts = []
        for shard in shards:
            place = folder / shard
            place.mkdir(parents=True)
            engine = EngineProcess(place, "--config", str(place / "config.xml"))
            ends.callback(engine.close)
            hosts.append(Host(engine, shard))
        ports = {host.shard: host.engine.port for host in hosts}
        for host in hosts:
            config = _config(
                host.shard, {name: [ports[each] for each in clusters[name]] for name in clusters}, keeper_port
            )
            ET.ElementTree(config).write(folder / host.shard / "config.xml")
            host.engine.start()
        yield hosts


def _config(shard: str, clusters: Mapping[str, Sequence[int]], keeper_port: int | None) -> ET.Element:
    root = ET.Element("clickhouse")
    macros = ET.SubElement(root, "macros")
    ET.SubElement(macros, "shard").text = shard
    ET.SubElement(macros, "replica").text = "1"
    servers = ET.SubElement(root, "remote_servers")
    for name, ports in clusters.items():
        cluster = ET.SubElement(servers, name)
        for port in ports:
            replica = ET.SubElement(ET.SubElement(cluster, "shard"), "replica")
            for tag, text in (
                ("host", "127.0.0.1"),
                ("port", str(port)),
                ("user", "default"),
                ("password", PASSWORD),
            ):
                ET.SubElement(replica, tag).text = text
    if keeper_port is not None:
        node = ET.SubElement(ET.SubElement(root, "zookeeper"), "node")
        ET.SubElement(node, "host").text = "127.0.0.1"
        ET.SubElement(node, "port").text = str(keeper_port)
    return root


def run_on_this_host(
    client: Client, clickhouse: ClickHouseSettings, changed: Callable[[str], str] = lambda each: each
) -> None:
    """The statements of all migrations for a cluster, on one host: the packaged engine runs no distributed DDL."""
    for statement in all_statements(clickhouse):
        client.execute(changed(re.sub(r" ON CLUSTER `\w+`", "", statement)))


def without_replication(statement: str) -> str:
    """The statement with tables that take rows: the packaged engine can create replicated ones, not fill them."""
    plain = re.sub(
        r"ENGINE = Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?([^)]*)\)", r"ENGINE = \1(\2)", statement
    )
    return re.sub(
        r"\breplicated_(deduplication_window = \d+), replicated_\w+ = \d+", r"non_replicated_\1", plain
    )

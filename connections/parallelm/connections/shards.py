"""Which shard of ClickHouse the rows of a topic partition go to: a map with a version, from the settings.

The map is part of what a sink commits to Kafka. A change takes effect when a sink starts with it, from the next block on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from parallelm.connections.errors import ConfigurationError

if TYPE_CHECKING:
    from parallelm.connections.settings import ClickHouseSettings

_FORM = "[clickhouse] shards is written as 'a = host-a1:9000, host-a2:9000; b = host-b1:9000'"


@dataclass(frozen=True, slots=True)
class Shard:
    """Hosts that hold the same rows."""

    name: str
    """Empty: the server of the settings ``host`` and ``port``, where there is no map."""
    hosts: tuple[tuple[str, int], ...]
    """Host and port of each replica: a writer takes the first that answers, and never one of another shard."""

    def reached_by(self, clickhouse: ClickHouseSettings) -> ClickHouseSettings:
        """The settings of a client that connects to one of its hosts."""
        (host, port), *others = self.hosts
        alternatives = ",".join(f"{_bracketed(name)}:{number}" for name, number in others)
        return dataclasses.replace(clickhouse, host=host, port=port, alt_hosts=alternatives)


@dataclass(frozen=True, slots=True)
class ShardMap:
    """Partition ``p`` of every topic lies on shard ``p`` modulo their number."""

    version: int
    """Raised with every change; 0 without a map."""
    shards: tuple[Shard, ...]
    single: Shard
    """The server of ``host`` and ``port``."""

    @classmethod
    def of(cls, clickhouse: ClickHouseSettings) -> Self:
        """The map of the settings, or one server for all; raises ``ConfigurationError``."""
        single = Shard("", ((clickhouse.host, clickhouse.port),))
        if not clickhouse.shards:
            return cls(0, (single,), single)
        shards = tuple(_shard(text, clickhouse.port) for text in clickhouse.shards.split(";") if text.strip())
        names = [shard.name for shard in shards]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ConfigurationError(f"shard {min(repeated)!r} is named twice; {_FORM}")
        if clickhouse.shards_version < 1:
            raise ConfigurationError(
                f"[clickhouse] shards_version is {clickhouse.shards_version}: the first map is version 1"
            )
        return cls(clickhouse.shards_version, shards, single)

    def of_partition(self, partition: int) -> Shard:
        """Where the blocks of a partition go."""
        return self.shards[partition % len(self.shards)]

    def named(self, name: str) -> Shard | None:
        """The shard of this name, if the map has it."""
        return next((shard for shard in (*self.shards, self.single) if shard.name == name), None)


def _shard(text: str, default_port: int) -> Shard:
    name, equals, hosts = (part.strip() for part in text.partition("="))
    if not equals or not name or not hosts.strip(", "):
        raise ConfigurationError(f"{text.strip()!r} is no shard; {_FORM}")
    return Shard(name, tuple(_host(host.strip(), default_port) for host in hosts.split(",") if host.strip()))


def _host(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    name = host.strip("[]")
    if not name or not port.isdecimal() or (":" in name and not host.startswith("[")):
        raise ConfigurationError(f"{text!r} is no address of a host; {_FORM}")
    return name, int(port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

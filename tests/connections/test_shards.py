"""The map of shards as it stands in the settings."""

from __future__ import annotations

import pytest

from parallelm.connections import ClickHouseSettings, ConfigurationError
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.shards import ShardMap


def shard_map(shards: str, version: int = 1) -> ShardMap:
    return ShardMap.of(ClickHouseSettings(host="one", port=9440, shards=shards, shards_version=version))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = h1", {"a": (("h1", 9440),)}),
        (
            "a = h1:9000, h2 ; b=h3:9001;",
            {"a": (("h1", 9000), ("h2", 9440)), "b": (("h3", 9001),)},
        ),
        ("s-1 = [::1]:9000, [::2]", {"s-1": (("::1", 9000), ("::2", 9440))}),
    ],
)
def test_a_map_names_the_hosts_of_each_shard(
    text: str, expected: dict[str, tuple[tuple[str, int], ...]]
) -> None:
    assert {shard.name: shard.hosts for shard in shard_map(text).shards} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h1:9000", "'h1:9000' is no shard"),
        ("a =", "'a =' is no shard"),
        ("= h1", "'= h1' is no shard"),
        ("a = h1; a = h2", "shard 'a' is named twice"),
        ("a = h1:port", "'h1:port' is no address of a host"),
        ("a = ::1", "'::1' is no address of a host"),
        ("a = h1, :9000", "':9000' is no address of a host"),
    ],
)
def test_what_is_no_map_is_told_with_how_to_write_one(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        shard_map(text)
    assert "a = host-a1:9000, host-a2:9000; b = host-b1:9000" in str(raised.value)


def test_the_first_map_is_version_1() -> None:
    with pytest.raises(ConfigurationError, match="shards_version is 0"):
        shard_map("a = h1", version=0)


def test_without_a_map_all_is_on_the_one_server_which_stays_known_when_there_is_one() -> None:
    none = shard_map("")
    assert (none.version, none.of_partition(7).name, none.of_partition(7).hosts) == (0, "", (("one", 9440),))
    first = shard_map("a = h1; b = h2", version=5)
    assert first.version == 5
    assert first.named("") == none.of_partition(0)
    assert first.named("c") is None


def test_partitions_go_round_the_shards() -> None:
    shards = shard_map("a = h1; b = h2; c = h3")
    assert [shards.of_partition(partition).name for partition in range(5)] == ["a", "b", "c", "a", "b"]


def test_a_client_of_a_shard_knows_its_hosts_and_no_other() -> None:
    settings = ClickHouseSettings(host="one", shards="a = h1:1, [::1]:2; b = h3")
    shard = ShardMap.of(settings).of_partition(0)
    client = clickhouse_client(shard.reached_by(settings))
    assert list(client.connection.hosts) == [("h1", 1), ("::1", 2)]

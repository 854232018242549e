"""The oldest ClickHouse that the migrations and queries run on.

25.8 (LTS): the oldest that the migrations are tested on; the other one is that of the local stack.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from parallelm.warehouse.errors import ServerTooOldError

if TYPE_CHECKING:
    from clickhouse_driver import Client

MINIMUM = (25, 8)


def require_server(client: Client) -> str:
    """Ask the server's version and return it; raises ``ServerTooOldError`` for one older than ``MINIMUM``."""
    ((version,),) = client.execute("SELECT version()")
    check_version(version, MINIMUM)
    return str(version)


def has_database(client: Client, name: str) -> bool:
    """Whether the server has a database of this name."""
    ((found,),) = client.execute("SELECT count() FROM system.databases WHERE name = %(name)s", {"name": name})
    return bool(found)


def check_version(version: str, minimum: tuple[int, int]) -> None:
    """Raise ``ServerTooOldError`` when ``version`` is older; a version without numbers, as of a custom build, passes."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < minimum:
        needed = ".".join(map(str, minimum))
        raise ServerTooOldError(
            f"ClickHouse {version} is too old: the warehouse needs {needed} or newer. Upgrade the server first"
        )


def shard_count(client: Client, cluster: str) -> int:
    """Shards of a cluster as this server knows it; 0 when it does not."""
    [(count,)] = client.execute(
        "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = %(cluster)s", {"cluster": cluster}
    )
    return int(count)

"""What differs on a cluster: Replicated engines, rows spread over shards, and tables that read them from all of them.

The migrations are written for one server. On a cluster their statements are rewritten: every one runs ``ON CLUSTER``, and
every MergeTree is replicated. The tables of ``SHARDED`` grow with the samples: the rows of a topic partition lie on one
shard, in the table ``…_local``, into which the sinks insert, and a Distributed table of the plain name reads all shards.
All others are small and joined with everything: each host has them whole. Views and queries name the plain names only, so
that they are the same on one server and on a cluster. Pure functions.
"""

from __future__ import annotations

import re
from string import Template

DEDUPLICATION_WINDOW = 100_000
"""Insert tokens that each table remembers; ``0001_statistics.sql`` explains the number."""

DEDUPLICATION_WINDOW_S = 90 * 86_400
"""Replicated tables also forget by age: not before the longest retention of a topic that is not compacted."""

KEPT_FREE_BYTES = 128 << 20
"""What an insert into any table leaves free on the disk. On a disk without a single byte left the packaged engine has
written parts that could not be read; an insert that is refused before is repeated when there is room again."""

SHARDED = frozenset(
    {"statistics", "statistics_by_day_state", "structured_statistics", "histograms", "predictions", "logs"}
)
"""Tables whose rows are spread over the shards."""

_SUFFIX = "_local"
_KEEPER_PATH = "/clickhouse/mcenter"
_TABLE = re.compile(r"(?P<verb>CREATE|ALTER|DROP) TABLE (?P<guard>IF (?:NOT )?EXISTS )?(?P<name>\w+)\b")
_ENGINE = re.compile(r"ENGINE = Replicated(?P<engine>\w*MergeTree)(?:\((?P<arguments>[^)]*)\))?")
_COMMENT = re.compile(r"COMMENT '(?:[^'\\]|\\.)*'\s*\Z")
_OF_COLUMNS = re.compile(r"(?:ADD|DROP|MODIFY|COMMENT|RENAME|CLEAR) COLUMN\b")


def local_table(table: str, cluster: str) -> str:
    """Table that holds the rows that readers find in ``table``: the one to insert into, and to alter."""
    return f"{table}{_SUFFIX}" if cluster and table in SHARDED else table


def on_cluster(cluster: str) -> str:
    """Clause that lets a statement run on every host of a cluster; empty for one server."""
    return f"ON CLUSTER `{cluster.replace('`', '``')}`" if cluster else ""


def render(text: str, cluster: str) -> list[str]:
    """Statements of a migration for one server (``cluster`` empty) or for a cluster."""
    window = f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
    if cluster:
        window = (
            f"replicated_deduplication_window = {DEDUPLICATION_WINDOW}, "
            f"replicated_deduplication_window_seconds = {DEDUPLICATION_WINDOW_S}"
        )
    rendered = Template(text).substitute(
        on_cluster=on_cluster(cluster),
        replicated="Replicated" if cluster else "",
        insert_settings=f"{window}, min_free_disk_bytes_to_perform_insert = {KEPT_FREE_BYTES}",
    )
    if not cluster:
        return _statements(rendered)
    return [each for statement in _statements(rendered) for each in _on_shards(statement, cluster)]


def _statements(rendered: str) -> list[str]:
    without_comments = "\n".join(line for line in rendered.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in f"{without_comments}\n".split(";\n") if statement.strip()]


def _on_shards(statement: str, cluster: str) -> list[str]:
    """What one statement becomes on a cluster."""
    if statement.startswith("CREATE MATERIALIZED VIEW"):
        # It sees what is inserted on its own host, and writes there.
        return [re.sub(r"\b(TO|FROM) (\w+)", lambda found: _local_name(found, cluster), statement)]
    table = _TABLE.match(statement)
    if table is None:
        return [statement]
    name = table["name"]
    statement = _ENGINE.sub(lambda found: _replicated(found, name, cluster), statement)
    if name not in SHARDED:
        return [statement]
    local = statement[: table.start("name")] + local_table(name, cluster) + statement[table.end("name") :]
    if table["verb"] == "CREATE":
        return [local, _distributed(name, statement, cluster)]
    if table["verb"] == "DROP" or _OF_COLUMNS.search(statement):
        return [local, statement]
    return [local]


def _local_name(found: re.Match[str], cluster: str) -> str:
    return f"{found[1]} {local_table(found[2], cluster)}"


def _replicated(found: re.Match[str], table: str, cluster: str) -> str:
    """An engine with its place in Keeper, where the replicas of a table meet by its name.

    Not by its UUID: a host that joins later, or a CREATE that is repeated for those that were away, would get another
    one, and replicate with nobody.
    """
    place = f"{_KEEPER_PATH}/{cluster.replace('/', '_')}/{{database}}/{{table}}"
    names = (
        f"'{place}/{{shard}}', '{{replica}}'" if table in SHARDED else f"'{place}', '{{shard}}-{{replica}}'"
    )
    rest = f", {found['arguments']}" if found["arguments"] else ""
    return f"ENGINE = Replicated{found['engine']}({names}{rest})"


def _distributed(name: str, statement: str, cluster: str) -> str:
    comment = _COMMENT.search(statement)
    cluster_name = cluster.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"CREATE TABLE IF NOT EXISTS {name} {on_cluster(cluster)} AS {local_table(name, cluster)}\n"
        f"ENGINE = Distributed('{cluster_name}', currentDatabase(), '{local_table(name, cluster)}')\n"
        f"{comment[0] if comment else ''}"
    ).strip()

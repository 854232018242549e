"""Topics and migrated databases that a test hands on to the next one of its worker, as new.

Making them costs more than a second of computing; to make them as new again costs what the test has written into them.
"""

from __future__ import annotations

import dataclasses
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.schemas.topic_admin import create_topics, log_offsets
from parallelm.schemas.topics import CATALOGUE
from parallelm.warehouse import migrate
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings

_RECORDS = ("schema_migrations", "schema_objects")
"""What ``migrate`` itself writes."""
_MOST_WAITING = 3
"""Sets of topics: one small broker holds some thousand partitions."""


class MadeOnce:
    """What tests have handed back. It is made as new when it is lent again: what a test left running has ended by then."""

    def __init__(self) -> None:
        self._prefixes: list[str] = []
        self._databases: list[str] = []
        self._forms: dict[str, object] = {}

    @contextmanager
    def lent(self, settings: Settings, *, topics: bool = True, tables: bool = True) -> Iterator[Settings]:
        """``settings`` with a prefix whose topics are all there and empty, and with a migrated database without rows."""
        with ExitStack() as lent:
            if topics:
                settings = with_prefix(settings, self._prefix(settings))
                lent.callback(self._prefixes.append, settings.kafka.topic_prefix)
            if tables:
                settings = with_database(settings, self._database(settings))
                lent.callback(self._databases.append, settings.clickhouse.database)
            yield settings

    def close(self, settings: Settings) -> None:
        """Delete what is there."""
        for prefix in self._prefixes:
            delete_topics(with_prefix(settings, prefix))
        for name in self._databases:
            drop_database(with_database(settings, name))

    def _prefix(self, settings: Settings) -> str:
        for prefix in self._prefixes:
            if _renew_topics(with_prefix(settings, prefix)):
                self._prefixes.remove(prefix)
                return prefix
        # A consumer that was killed is a member of its group for some seconds more.
        if len(self._prefixes) == _MOST_WAITING:
            delete_topics(with_prefix(settings, self._prefixes.pop(0)))
        made = with_prefix(settings, f"m{uuid.uuid4().hex[:10]}.")
        create_topics(made, timeout_s=DEADLINE_S)
        return made.kafka.topic_prefix

    def _database(self, settings: Settings) -> str:
        while self._databases:
            used = with_database(settings, self._databases.pop())
            if _renew_database(used, self._forms[used.clickhouse.database]):
                return used.clickhouse.database
            drop_database(used)
        made = with_database(settings, f"m{uuid.uuid4().hex[:10]}")
        migrate(made)
        with clickhouse_client(made.clickhouse) as client:
            self._forms[made.clickhouse.database] = _forms(client)
        return made.clickhouse.database


def with_prefix(settings: Settings, prefix: str) -> Settings:
    """The same with another prefix of topics."""
    return dataclasses.replace(settings, kafka=dataclasses.replace(settings.kafka, topic_prefix=prefix))


def with_database(settings: Settings, name: str) -> Settings:
    """The same with another database."""
    return dataclasses.replace(settings, clickhouse=dataclasses.replace(settings.clickhouse, database=name))


def delete_topics(settings: Settings) -> None:
    """Delete all topics with the prefix."""
    admin = AdminClient(client_config(settings.kafka))
    _delete(admin, _layout(admin, settings.kafka.topic_prefix))


def drop_database(settings: Settings) -> None:
    """Drop the database, if it is there."""
    with clickhouse_client(settings.clickhouse, database="default") as client:
        client.execute(f"DROP DATABASE IF EXISTS `{settings.clickhouse.database}`")


def _renew_topics(settings: Settings) -> bool:
    """Make those again that are not as ``create_topics`` makes them; False when somebody still reads them."""
    admin = AdminClient(client_config(settings.kafka))
    prefix = settings.kafka.topic_prefix
    if not _are_groups_gone(admin, prefix):
        return False
    found = _layout(admin, prefix)
    wanted = {topic.full_name(prefix): topic.partitions for topic in CATALOGUE}
    kept = {name for name, count in found.items() if wanted.get(name) == count}
    places = [(name, number) for name in kept for number in range(wanted[name])]
    ends = log_offsets(admin, places, OffsetSpec.latest(), DEADLINE_S)
    spoilt = {name for name in found if name not in kept} | {name for (name, _), end in ends.items() if end}
    _delete(admin, spoilt)
    wait_for(lambda: not spoilt & _layout(admin, prefix).keys())
    create_topics(settings, timeout_s=DEADLINE_S)
    return True


def _are_groups_gone(admin: AdminClient, prefix: str) -> bool:
    """Delete the consumer groups; False when one has members, who may have been killed and are not missed yet."""
    listed = admin.list_consumer_groups(request_timeout=DEADLINE_S).result().valid
    groups = [group.group_id for group in listed if group.group_id.startswith(prefix)]
    try:
        for future in admin.delete_consumer_groups(groups).values() if groups else ():
            future.result(DEADLINE_S)
    except KafkaException:
        return False
    return True


def _layout(admin: AdminClient, prefix: str) -> dict[str, int]:
    """Partitions by name of topic."""
    topics = admin.list_topics(timeout=DEADLINE_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if name.startswith(prefix)}


def _delete(admin: AdminClient, names: Collection[str]) -> None:
    for future in admin.delete_topics(sorted(names)).values() if names else ():
        try:
            future.result(DEADLINE_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # the test has deleted it itself
                raise


def _renew_database(settings: Settings, forms: object) -> bool:
    """Delete the rows; False when the test has changed more than rows, or somebody still uses the database."""
    name = settings.clickhouse.database
    with clickhouse_client(settings.clickhouse, database="default") as client:
        if client.execute(f"SELECT 1 FROM system.databases WHERE name = '{name}'") == []:
            return False
    with clickhouse_client(settings.clickhouse) as client:
        used = client.execute(
            "SELECT count() FROM system.processes"
            " WHERE current_database = currentDatabase() AND query NOT LIKE '%FROM system.processes%'"
            " UNION ALL SELECT count() FROM system.mutations WHERE database = currentDatabase()"
        )
        if any(count for (count,) in used) or _forms(client) != forms:
            return False
        filled = client.execute(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0 AND name NOT IN %(kept)s",
            {"kept": _RECORDS},
        )
        for (table,) in filled:
            client.execute(f"TRUNCATE TABLE `{table}`")
    return True


def _forms(client: Client) -> object:
    """What the tables and views are, and what is recorded of that."""
    tables = client.execute(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    counts = [client.execute(f"SELECT count() FROM {table}") for table in _RECORDS]
    return tables, counts

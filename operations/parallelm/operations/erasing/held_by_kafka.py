"""How long Kafka still holds what was erased elsewhere: records leave a topic by its own settings only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from parallelm.schemas.topic_admin import connect, topic_configs
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings

_ANSWER_S: Final = 15.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000
_LATEST_MS: Final = 253_402_300_799_000
"""The year 9999, which is where datetimes end."""
_UNBOUNDED: Final = (1 << 63) - 1
"""Kafka's default of ``max.compaction.lag.ms``."""
_CLEANING_MS: Final = 3_600_000
"""Brokers look for old segments every five minutes and delete their files a minute later; with time to spare."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one topic does with old records."""

    topic: str
    """Name with prefix."""
    for_ms: int | None
    """The longest that it holds a record that nobody writes again; None: for ever."""
    why: str
    """The settings that say so."""

    def until(self, now_ms: int) -> datetime | None:
        """When what it holds now is gone at the latest; None: never."""
        if self.for_ms is None or now_ms + self.for_ms > _LATEST_MS:
            return None
        return _EPOCH + timedelta(milliseconds=now_ms + self.for_ms)

    @property
    def in_words(self) -> str:
        """How long, for people."""
        return "for ever" if self.for_ms is None else f"up to {self.for_ms / _DAY_MS:.3g} days"


def held_by_kafka(settings: Settings) -> list[Held]:
    """Every topic of the platform that there is, as the cluster has it configured.

    Raises ``ClusterUnavailableError`` and ``TopicsError``.
    """
    admin, metadata = connect(settings, _ANSWER_S)
    prefix = settings.kafka.topic_prefix
    names = [name for topic in CATALOGUE if (name := topic.full_name(prefix)) in metadata.topics]
    configs = topic_configs(admin, names, _ANSWER_S)
    return [held(name, configs[name]) for name in names]


def held(topic: str, config: Mapping[str, str]) -> Held:
    """How long a topic of these settings holds a record. Pure.

    A segment goes as a whole once its newest record is old enough, and takes records for ``segment.ms``. A compacted topic
    keeps the newest value of each key; what a tombstone replaces goes within ``max.compaction.lag.ms``, the tombstone itself
    after ``delete.retention.ms`` more.
    """
    policies = config["cleanup.policy"].split(",")
    times: list[tuple[int, str]] = []
    if "delete" in policies and int(config["retention.ms"]) >= 0:
        names = ("retention.ms", "segment.ms")
        times.append(_longest(config, names))
    if "compact" in policies and int(config["max.compaction.lag.ms"]) < _UNBOUNDED:
        names = ("max.compaction.lag.ms", "delete.retention.ms")
        times.append(_longest(config, names))
    if not times:
        setting = "max.compaction.lag.ms" if "compact" in policies else "retention.ms"
        return Held(topic, None, f"{setting} sets no limit")
    return Held(topic, *min(times))


def _longest(config: Mapping[str, str], names: tuple[str, ...]) -> tuple[int, str]:
    return (
        sum(int(config[name]) for name in names) + _CLEANING_MS,
        ", ".join(f"{name}={config[name]}" for name in names),
    )

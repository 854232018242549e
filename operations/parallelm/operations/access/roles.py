"""The roles of Kafka's users, each with the least rights that its work needs, as Kafka's access control lists hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.schemas.topics import CATALOGUE
from parallelm.schemas.well_known import CAPTURE_IMPORT, NOTIFIER_GROUP, PROCESSORS_GROUP, SINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.schemas.topics import Topic

READER_GROUPS = "mcenter-"
"""What reads a topic without a group still names one to the client, which asks for its coordinator."""

_READ, _WRITE = ("READ", "DESCRIBE"), ("WRITE", "DESCRIBE")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Operations that are allowed on a resource, or on all whose names begin with ``name``."""

    kind: str
    """``TOPIC``, ``GROUP`` or ``TRANSACTIONAL_ID``."""
    name: str
    """Without topic prefix, which is put before it; see ``rights_of``."""
    operations: tuple[str, ...]
    is_prefix: bool = False
    has_topic_prefix: bool = True


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of user."""

    name: str
    who: str
    """Which programs and people have it."""
    rights: tuple[Right, ...]


def _on(found: Iterable[Topic], operations: tuple[str, ...]) -> tuple[Right, ...]:
    return tuple(Right("TOPIC", topic.name, operations) for topic in found)


_REPORTS = (topics.STATISTICS, topics.STRUCTURED_STATISTICS, topics.EVENTS, topics.KPIS)
_STORED = tuple(topic for topic in CATALOGUE if not topic.internal)
_WITHOUT_GROUP = Right("GROUP", READER_GROUPS, ("DESCRIBE",), is_prefix=True, has_topic_prefix=False)
_ALL_TOPICS = ("READ", "DESCRIBE", "DESCRIBE_CONFIGS")

_ANSWERS_DEAD_LETTERS = Right("TRANSACTIONAL_ID", topics.DEAD_LETTERS.name, _WRITE)
_IMPORTS_CAPTURES = Right("TRANSACTIONAL_ID", CAPTURE_IMPORT, _WRITE)
_OUTCOMES = (topics.PREDICTIONS, topics.ACTUALS)

_OPERATED = (
    topics.MLAPPS, topics.ACTIONS, topics.SILENCES, topics.KPIS, topics.ACTUALS, topics.STATISTICS,
    topics.AGENTS, topics.AGENT_COMMANDS,
)  # fmt: skip
_APPLIES_DEFINITIONS = Right("TRANSACTIONAL_ID", "definition-", _WRITE, is_prefix=True)
_PRODUCER = _on((*_REPORTS, *_OUTCOMES, topics.MODELS), _WRITE)
_SPOOLING = _on((*_REPORTS, *_OUTCOMES), ("READ",))
_READER = (
    Right("TOPIC", "", _ALL_TOPICS, is_prefix=True),
    Right("GROUP", "", ("DESCRIBE",), is_prefix=True),
    _WITHOUT_GROUP,
)
_PROCESSORS_READ = (
    *_REPORTS, topics.MLAPPS, topics.MODELS, topics.ACTIONS, topics.RULE_AGGREGATES, topics.SERIES_STATE, topics.MLAPP_STATE,
    topics.RUN_REPORTS, topics.AGENTS, topics.HEARTBEATS,
)  # fmt: skip
_PROCESSORS_WRITE = (
    topics.ALERTS, topics.DEPLOYMENTS, topics.RULE_AGGREGATES, topics.SERIES_STATE, topics.MLAPP_STATE, topics.DEAD_LETTERS,
    topics.RUNS, topics.AGENT_COMMANDS,
)  # fmt: skip

_FOUND = (
    Role("producer", "components that report", _PRODUCER),
    Role(
        "spooling-producer",
        "components that report with MCENTER_COMPONENT_SPOOL_FOLDER",
        (*_PRODUCER, *_SPOOLING, _WITHOUT_GROUP),
    ),
    Role(
        "sink",
        "mcenter sink",
        (*_on(_STORED, _READ), *_on((topics.DEAD_LETTERS,), _WRITE), Right("GROUP", SINK_GROUP, ("READ",))),
    ),
    Role(
        "processors",
        "mcenter processors",
        (
            *_on(_PROCESSORS_READ, _READ),
            *_on(_PROCESSORS_WRITE, _WRITE),
            Right("GROUP", PROCESSORS_GROUP, ("READ",)),
            Right("TRANSACTIONAL_ID", f"{PROCESSORS_GROUP}-", _WRITE, is_prefix=True),
            _WITHOUT_GROUP,
        ),
    ),
    Role(
        "notifier",
        "mcenter notifier",
        (
            *_on((topics.ALERTS, topics.DEPLOYMENTS, topics.SILENCES), _READ),
            *_on((topics.NOTIFICATIONS, topics.NOTIFIER_STATE), (*_READ, "WRITE")),
            Right("GROUP", NOTIFIER_GROUP, ("READ",)),
            Right("TRANSACTIONAL_ID", NOTIFIER_GROUP, _WRITE),
            _WITHOUT_GROUP,
        ),
    ),
    Role(
        "agent",
        "mcenter agent, and the components that it runs",
        (
            *_PRODUCER,
            *_SPOOLING,
            *_on((topics.AGENTS, topics.HEARTBEATS), (*_READ, "WRITE")),
            *_on((topics.AGENT_COMMANDS,), _READ),
            *_on((topics.RUN_REPORTS, topics.LOGS), _WRITE),
            _WITHOUT_GROUP,
        ),
    ),
    Role(
        "reader",
        "people who look: mcenter tail, status, alerts list, explain; they act through the server",
        _READER,
    ),
    Role(
        "server",
        "mcenter server, which acts for people once it has checked who they are",
        (
            *_READER,
            # It also sends dead letters again, wherever they came from, and reports for programs without the library.
            *_on((*_STORED, *_OPERATED), ("WRITE",)),
            _ANSWERS_DEAD_LETTERS,
            _APPLIES_DEFINITIONS,
            _IMPORTS_CAPTURES,
        ),
    ),
    Role(
        "operator",
        "people who act without the server: mcenter mlapps, alerts, models, kpis, actuals, captures, agents",
        (*_READER, *_on(_OPERATED, ("WRITE",)), _ANSWERS_DEAD_LETTERS, _APPLIES_DEFINITIONS),
    ),
    Role(
        "admin",
        "people who set up: mcenter topics, warehouse, backup, restore, dead-letters replay, captures import, erase",
        (
            Right("TOPIC", "", (*_ALL_TOPICS, "CREATE", "WRITE", "ALTER", "ALTER_CONFIGS"), is_prefix=True),
            Right("GROUP", "", ("DESCRIBE", "READ"), is_prefix=True),
            _WITHOUT_GROUP,
            _ANSWERS_DEAD_LETTERS,
            _IMPORTS_CAPTURES,
        ),
    ),
)
ROLES = {role.name: role for role in _FOUND}


def rights_of(role: Role, topic_prefix: str) -> list[Right]:
    """Its rights with full names; equal resources are one right. An empty prefix with ``is_prefix`` is ``*``, all of them."""
    found: dict[tuple[str, str, bool], set[str]] = {}
    for right in role.rights:
        name = f"{topic_prefix}{right.name}" if right.has_topic_prefix else right.name
        found.setdefault((right.kind, name, right.is_prefix), set()).update(right.operations)
    return [
        Right(kind, name or "*", tuple(sorted(operations)), is_prefix=is_prefix and bool(name))
        for (kind, name, is_prefix), operations in sorted(found.items())
    ]

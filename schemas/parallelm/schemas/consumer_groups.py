"""Consumer groups: their members, and what they have committed; asked by a short process of its own.

Questions to the coordinator of a group with an ``AdminClient`` end their process, by an assertion in librdkafka, when that
broker goes away meanwhile (https://github.com/confluentinc/librdkafka/pull/5397). Here the one that ends is a child, and
whoever asked is told that it cannot be known now. To ask for the offsets of one group alone, ``GroupOffsets`` needs no child.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections import KafkaSettings
from parallelm.connections.kafka import COORDINATOR_IS_COMING, client_config
from parallelm.schemas.errors import ClusterUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_AGAIN_S = 0.2
_START_S = 20.0
"""What a process may take to start, on a machine with other things to do."""
_COMMAND: Sequence[str] = (sys.executable, "-m", __name__)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One consumer of a group."""

    client_id: str
    instance_id: str
    """By which the brokers know it after a restart; empty: it has none."""
    host: str
    partitions: int


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """One consumer group."""

    name: str
    members: int
    assigned: frozenset[tuple[str, int]]
    """Topic partitions that its members have."""
    committed: dict[tuple[str, int], int]
    """Next offset by topic partition; -1 where there is none."""
    metadata: dict[tuple[str, int], str]
    """What was committed beside it, where anything was."""
    consumers: tuple[GroupMember, ...] = ()
    """Its members, by host."""


def consumer_groups(
    kafka: KafkaSettings, timeout_s: float, *, all_brokers: bool = False
) -> list[ConsumerGroup]:
    """Every consumer group, by name.

    A coordinator that has just started or moved is asked again, for ``timeout_s``. With ``all_brokers`` no group is left out
    because its broker does not answer. Raises ``ClusterUnavailableError`` when that cannot be told now.
    """
    order = json.dumps({"kafka": asdict(kafka), "timeout_s": timeout_s, "all_brokers": all_brokers}).encode()
    try:
        # It asks three times, and again for `timeout_s`.
        child = subprocess.run(
            _COMMAND, input=order, capture_output=True, timeout=_START_S + 5 * timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterUnavailableError(
            f"consumer groups cannot be told now: there was no answer within {error.timeout:g} s"
        ) from error
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines() or [""]
        raise ClusterUnavailableError(
            f"consumer groups cannot be told now: the process that asks for them ended with {child.returncode}, as it does "
            f"when a broker goes away: {lines[-1][:200]}"
        )
    answer = json.loads(child.stdout)
    if "error" in answer:
        raise ClusterUnavailableError(answer["error"])
    return [
        ConsumerGroup(
            each["name"],
            each["members"],
            frozenset((topic, partition) for topic, partition in each["assigned"]),
            {(topic, partition): offset for topic, partition, offset, _ in each["committed"]},
            {(topic, partition): text for topic, partition, _, text in each["committed"] if text},
            tuple(
                GroupMember(*member) for member in sorted(each["consumers"], key=lambda it: (it[2], it[0]))
            ),
        )
        for each in answer["groups"]
    ]


def _answer(kafka: KafkaSettings, timeout_s: float, *, all_brokers: bool) -> dict[str, Any]:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # Its log lines would only repeat what is told.
    admin = AdminClient(client_config(kafka) | {"log_level": 2})
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return {"groups": _groups(admin, timeout_s, all_brokers=all_brokers)}
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() not in COORDINATOR_IS_COMING or time.monotonic() > deadline:
                return {"error": f"consumer groups cannot be read: {reason.str()}"}
        except TimeoutError:
            return {"error": f"the brokers did not answer within {timeout_s:g} s"}
        time.sleep(_AGAIN_S)


def _groups(admin: Any, timeout_s: float, *, all_brokers: bool) -> list[dict[str, Any]]:
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException

    listed = admin.list_consumer_groups(request_timeout=timeout_s).result(timeout_s)
    for error in listed.errors:  # brokers that did not answer may know groups of which nothing is listed
        if all_brokers or not listed.valid or error.code() in COORDINATOR_IS_COMING:
            raise KafkaException(error)
    names = sorted(group.group_id for group in listed.valid)
    asked = {
        name: admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name] for name in names
    }
    described = admin.describe_consumer_groups(names) if names else {}
    found = []
    for name in names:
        members = described[name].result(timeout_s).members
        found.append({
            "name": name,
            "members": len(members),
            "consumers": [
                (
                    member.client_id or "",
                    member.group_instance_id or "",
                    (member.host or "").removeprefix("/"),
                    len(member.assignment.topic_partitions) if member.assignment else 0,
                )
                for member in members
            ],
            "assigned": [
                (each.topic, each.partition)
                for member in members
                if member.assignment
                for each in member.assignment.topic_partitions
            ],
            "committed": [
                (each.topic, each.partition, each.offset, each.metadata)
                for each in asked[name].result(timeout_s).topic_partitions
            ],
        })  # fmt: skip
    return found


def main() -> None:
    """The child: an order on its standard input, the answer on its standard output."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # where it ends by an assertion, that is expected
    order = json.load(sys.stdin)
    answer = _answer(KafkaSettings(**order["kafka"]), order["timeout_s"], all_brokers=order["all_brokers"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

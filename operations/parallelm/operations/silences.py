"""Silences: mute notifications of alerts by their labels for a time, end that earlier, and see which ones there are."""

from __future__ import annotations

import dataclasses
import time
import uuid
from typing import TYPE_CHECKING

from parallelm.definitions.matchers import Matcher, all_match
from parallelm.definitions.rules import RESERVED_LABELS
from parallelm.operations.actions import ALL_MLAPPS, action_to_send, new_action
from parallelm.operations.errors import OperationError
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import LabelMatcher, Silence
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import require_topic
from parallelm.schemas.topic_reader import StartPoint, read_topic
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import SILENCES
from parallelm.schemas.well_known import SILENCE, UNSILENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author

_TIMEOUT_S = 15.0
_ANYTHING = (".*", ".+")
_OF_NONE = {("=", ""), ("=~", ""), *(("!~", pattern) for pattern in _ANYTHING)}
"""Conditions that a label which every alert has never meets."""
_OF_ALL = {("!=", ""), ("!~", ""), *(("=~", pattern) for pattern in _ANYTHING)}
"""Conditions that it always meets."""
SHOWN_BESIDE_TIMEOUT_S = 3.0
"""What is shown beside alerts does not hold them up for longer when Kafka is away."""


class SilenceError(OperationError):
    """A silence that cannot be made or ended."""


def add_silence(
    settings: Settings,
    matchers: Sequence[Matcher],
    *,
    ends_at_ms: int,
    who: Author,
    comment: str,
    starts_at_ms: int | None = None,
) -> Silence:
    """Mute notifications of what all matchers hold for. The audit log gets an action ``silence``.

    Raises ``SilenceError`` when it would mute everything or end before it starts; ``TopicsError`` when the topic is missing,
    ``ClusterUnavailableError`` when no broker answers, and ``UndeliveredError`` when it does not confirm.
    """
    now_ms = _now_ms()
    starts_at_ms = now_ms if starts_at_ms is None else starts_at_ms
    for matcher in matchers:
        if _on_what_all_have(matcher) in _OF_NONE:
            raise SilenceError(
                f"{matcher} holds for no alert: each has a label {matcher.label!r}; give its value, as in {matcher.label}=…"
            )
    if all(matcher.matches({}) or _on_what_all_have(matcher) in _OF_ALL for matcher in matchers):
        raise SilenceError(
            "a silence needs a matcher that some alerts do not meet, as in alertname=drift; these would mute every alert"
        )
    if ends_at_ms <= max(now_ms, starts_at_ms):
        raise SilenceError("the silence would end before it starts; give a later time")
    silence = Silence(
        silence_id=uuid.uuid4().hex[:12],
        matchers=[
            LabelMatcher(label=each.label, operator=each.operator, value=each.value) for each in matchers
        ],
        starts_at_ms=starts_at_ms,
        ends_at_ms=ends_at_ms,
        who=who.name,
        comment=comment,
        created_at_ms=now_ms,
    )
    _write(settings, silence, SILENCE, who, comment)
    return silence


def _on_what_all_have(matcher: Matcher) -> tuple[str, str] | None:
    """Operator and value of a condition on a label that every alert has."""
    return (matcher.operator, matcher.value) if matcher.label in RESERVED_LABELS else None


def end_silence(settings: Settings, silence_id: str, *, who: Author, comment: str) -> Silence:
    """End a silence now. The audit log gets an action ``unsilence``.

    Raises ``SilenceError`` when there is none of this id, or it is over; and as ``add_silence``.
    """
    now_ms = _now_ms()
    known = {silence.silence_id: silence for silence in list_silences(settings)}
    silence = known.get(silence_id)
    if silence is None or silence.ends_at_ms <= now_ms:
        active = ", ".join(each.silence_id for each in known.values() if each.ends_at_ms > now_ms) or "none"
        what = "has ended already" if silence else "does not exist"
        raise SilenceError(f"silence {silence_id!r} {what}; in force or to come: {active}")
    ended = dataclasses.replace(silence, starts_at_ms=min(silence.starts_at_ms, now_ms), ends_at_ms=now_ms)
    _write(settings, ended, UNSILENCE, who, comment)
    return ended


def list_silences(settings: Settings, *, timeout_s: float = _TIMEOUT_S) -> list[Silence]:
    """Every silence on the topic by its start, those that ended in the last days included; raises as ``add_silence``."""
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    name = SILENCES.full_name(settings.kafka.topic_prefix)
    found: dict[bytes, Silence] = {}
    for record in read_topic(settings, name, StartPoint("beginning"), follow=False, timeout_s=timeout_s):
        key = record.key or b""
        found.pop(key, None)
        if record.value is not None:
            try:
                found[key] = codec.decode(record.value, Silence)
            except DecodeError:
                continue  # the notifier logs and counts it
    return sorted(found.values(), key=lambda silence: (silence.starts_at_ms, silence.silence_id))


def matchers_of(silence: Silence) -> list[Matcher]:
    """A silence's conditions."""
    return [Matcher(each.label, each.operator, each.value) for each in silence.matchers]


def silences_of(silences: Iterable[Silence], labels: Mapping[str, str], at_ms: int) -> list[Silence]:
    """Those of ``silences`` that mute an alert with these labels at that time."""
    return [
        silence
        for silence in silences
        if silence.starts_at_ms <= at_ms < silence.ends_at_ms and all_match(matchers_of(silence), labels)
    ]


def _write(settings: Settings, silence: Silence, action: str, who: Author, comment: str) -> None:
    prefix = settings.kafka.topic_prefix
    name = SILENCES.full_name(prefix)
    require_topic(settings, name, _TIMEOUT_S)
    codec = Codec(make_registry(settings.schema_registry, prefix))
    mlapps = {each.value for each in silence.matchers if (each.label, each.operator) == ("mlapp", "=")}
    audit = new_action(
        action,
        next(iter(mlapps)) if len(mlapps) == 1 else ALL_MLAPPS,
        who=who,
        comment=comment,
        target=silence.silence_id,
        parameters={
            "matchers": ", ".join(str(matcher) for matcher in matchers_of(silence)),
            "starts_at_ms": str(silence.starts_at_ms),
            "ends_at_ms": str(silence.ends_at_ms),
        },
    )
    write_and_confirm(
        settings,
        [
            action_to_send(settings, audit, codec),
            OutgoingRecord(name, SILENCES.key(silence), codec.encode(silence)),
        ],
        timeout_s=_TIMEOUT_S,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

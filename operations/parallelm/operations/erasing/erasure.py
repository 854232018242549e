"""The erasure as a whole: what there is, and one step after the other until it is gone and recorded.

Every step may be repeated: an erasure that was cut short is finished by beginning it again. The rows go last, since they say
what else there is to erase.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.definitions import DefinitionTopic
from parallelm.operations.actions import ALL_MLAPPS, new_action
from parallelm.operations.erasing.held_by_kafka import Held, held_by_kafka
from parallelm.operations.erasing.places import Captures, CapturesOfTimes, ModelFiles, Place, Silences
from parallelm.operations.erasing.processors import forget_mlapp
from parallelm.operations.errors import EraseError
from parallelm.operations.stored import wait_until_stored
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import read_one
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import ACTIONS, CATALOGUE
from parallelm.schemas.well_known import BEGIN_ERASE, ERASE
from parallelm.warehouse.erasure import OfLabel, OfMLApp, count_rows, delete_rows, time_ranges
from parallelm.warehouse.queries.erasures import is_unfinished, mlapp_ids, model_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.warehouse.erasure import Selection

TIMEOUT_S: Final = 120.0
_CLUSTER_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to erase."""

    rows: Mapping[str, int]
    """By table."""
    things: Mapping[str, int]
    """By what they are: files of models, captures, …"""
    is_defined: bool
    """Whether the MLApp has a definition."""

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing."""
        return not (self.rows or any(self.things.values()) or self.is_defined)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased."""

    selection: Selection
    rows: Mapping[str, int]
    things: Mapping[str, int]
    held: Sequence[Held]
    """What Kafka does with it."""
    erased_at_ms: int
    since: Mapping[str, int]
    """Rows that have come meanwhile: something still reports."""


def find(settings: Settings, selection: Selection, more: Sequence[Place] = ()) -> Found:
    """What there is; ``more`` are the places of other rooms. Nothing is changed.

    Raises the errors of the places and of the drivers.
    """
    is_defined = isinstance(selection, OfMLApp) and selection.mlapp_id in _defined(settings)
    things = {place.what: place.count() for place in _places(settings, selection, more)}
    return Found(count_rows(settings, selection), things, is_defined)


def erase(
    settings: Settings,
    selection: Selection,
    *,
    who: Author,
    comment: str = "",
    more: Sequence[Place] = (),
    timeout_s: float = TIMEOUT_S,
    on_step: Callable[[str], None] = lambda _: None,
) -> Erasure:
    """Erase it, and leave one action ``erase`` of what went. ``timeout_s`` is for processors and for sinks to come after.

    Raises ``EraseError`` when there is nothing, or when processors or sinks do not come after; the errors of the places,
    and of the drivers: do it again then.
    """
    _require_single(selection)
    on_step("looks for what there is")
    found = find(settings, selection, more)
    if found.is_nothing and not is_unfinished(settings, str(selection)):
        raise EraseError(
            f"there is nothing of {selection}; `mcenter mlapps list` shows MLApps, and docs/tables.md columns with labels"
        )
    began = _record(settings, BEGIN_ERASE, selection, who, comment, _as_parameters(found.rows, found.things))
    until_ms = began
    if isinstance(selection, OfMLApp):
        on_step("waits for processors to forget it")
        forget_mlapp(settings, selection.mlapp_id, who, timeout_s)
        # What the end of the MLApp made processors write goes, too.
        until_ms = _record(settings, BEGIN_ERASE, selection, who, "the processors have forgotten it", {})
    on_step("waits for sinks to store what is on its way")
    _wait_for_sinks(settings, timeout_s)
    things: dict[str, int] = {}
    for place in _places(settings, selection, more):
        on_step(f"erases {place.what}")
        things[place.what] = place.erase(who)
    on_step("erases rows")
    rows = delete_rows(settings, selection, until_ms)
    held = held_by_kafka(settings)
    erased_ms = _record(
        settings, ERASE, selection, who, comment, _as_parameters(rows, things) | _as_held(held, until_ms)
    )
    return Erasure(selection, rows, things, held, erased_ms, count_rows(settings, selection))


def _require_single(selection: Selection) -> None:
    if isinstance(selection, OfMLApp) and selection.mlapp_id in {"", ALL_MLAPPS}:
        raise EraseError(
            f"{selection.mlapp_id!r} is no MLApp: what belongs to none, as the audit log of accounts, is not erased"
        )
    if isinstance(selection, OfLabel) and not selection.name:
        raise EraseError("a label has a name, as in --label customer=1234")


def _places(settings: Settings, selection: Selection, more: Sequence[Place]) -> list[Place]:
    if not isinstance(selection, OfMLApp):
        return [CapturesOfTimes(settings, time_ranges(settings, selection)), *more]
    mlapp_id = selection.mlapp_id
    others = {*_defined(settings), *mlapp_ids(settings)} - {mlapp_id}
    return [
        ModelFiles(settings, mlapp_id, model_ids(settings, mlapp_id), sorted(others)),
        Captures(settings, mlapp_id),
        Silences(settings, mlapp_id),
        *more,
    ]


def _defined(settings: Settings) -> set[str]:
    with DefinitionTopic(settings) as topic:
        return set(topic.catch_up())


def _wait_for_sinks(settings: Settings, timeout_s: float) -> None:
    stored = [topic for topic in CATALOGUE if not topic.internal]
    if behind := wait_until_stored(settings, stored, timeout_s):
        raise EraseError(
            f"the sinks are {behind} records behind, some of which may have to be erased, too: start them with `mcenter sink`, "
            "and erase again"
        )


def _record(
    settings: Settings,
    action: str,
    selection: Selection,
    who: Author,
    comment: str,
    parameters: Mapping[str, str],
) -> int:
    """Write an action that belongs to no MLApp, and return when Kafka took it."""
    prefix = settings.kafka.topic_prefix
    codec = Codec(make_registry(settings.schema_registry, prefix))
    made = new_action(
        action, ALL_MLAPPS, who=who, comment=comment, target=str(selection), parameters=parameters
    )
    topic = ACTIONS.full_name(prefix)
    record = OutgoingRecord(topic, ACTIONS.key(made), codec.encode(made))
    partition, offset = TopicWriter(settings, timeout_s=_CLUSTER_S).write_one(record)
    stored = read_one(settings, topic, partition, offset, _CLUSTER_S)
    return stored.ingested_at_ms if stored else time.time_ns() // 1_000_000


def _as_parameters(rows: Mapping[str, int], things: Mapping[str, int]) -> dict[str, str]:
    counts = {f"rows of {table}": count for table, count in rows.items()} | dict(things)
    return {what: str(count) for what, count in counts.items() if count}


def _as_held(held: Sequence[Held], now_ms: int) -> dict[str, str]:
    def until(each: Held) -> str:
        last = each.until(now_ms)
        return last.isoformat(timespec="minutes") if last else "for ever"

    return {f"kafka holds {each.topic} until": until(each) for each in held}

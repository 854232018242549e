"""Erasing: what there is, and its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations import erasing
from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.acting.tasks import followed
from parallelm.warehouse.erasure import OfMLApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.operations.erasing import Found, Held, Place
    from parallelm.warehouse.erasure import Selection

    Places = Callable[[], AbstractContextManager[Sequence[Place]]]
    """Places of other rooms, which a server knows by itself."""


@dataclass(frozen=True, slots=True)
class HeldRecords:
    """How long a topic still holds old records."""

    topic: str
    holds: str
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What there is."""

    found: Found
    held: Sequence[HeldRecords]


@dataclass(frozen=True, slots=True)
class Erased:
    """What went."""

    rows: Mapping[str, int]
    things: Mapping[str, int]
    held: Sequence[HeldRecords]
    since: Mapping[str, int]
    """Rows that have come meanwhile."""
    by: str
    """Who has erased it, and how that is known."""


class EraseActions(Protocol):
    """Raises ``OperationError``, ``SchemaError`` and what ClickHouse's driver raises."""

    def preview(self, selection: Selection, places: Places) -> Preview:
        """Count what would go."""

    def erase(
        self,
        selection: Selection,
        places: Places,
        *,
        comment: str,
        timeout_s: float,
        on_step: Callable[[str], None],
    ) -> Erased:
        """Remove it for good."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def preview(self, selection: Selection, places: Places) -> Preview:
        with places() as more:
            found = erasing.find(self._settings, selection, more)
        return Preview(found, _held(erasing.held_by_kafka(self._settings)))

    def erase(self, selection: Selection, places: Places, **said: Any) -> Erased:
        with places() as more:
            done = erasing.erase(self._settings, selection, who=self._author, more=more, **said)
        return Erased(
            done.rows,
            done.things,
            _held(done.held),
            done.since,
            f"{self._author} ({self._author.authenticated_by})",
        )


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def preview(self, selection: Selection, places: Places) -> Preview:  # noqa: ARG002 - the server's own
        found = self._server.get(path_of("erasures", "preview"), _named(selection))
        return Preview(
            erasing.Found(found["rows"], found["things"], found["is_defined"]), _from_json(found["held"])
        )

    def erase(
        self,
        selection: Selection,
        places: Places,  # noqa: ARG002 - the server's own
        *,
        comment: str,
        timeout_s: float,  # noqa: ARG002 - the server waits as long as it does
        on_step: Callable[[str], None],
    ) -> Erased:
        wanted = _named(selection) | {"confirm": str(selection), "comment": comment}
        begun = self._server.post(path_of("erasures"), json=wanted)
        done = followed(self._server, begun, lambda _, step: on_step(step) if step else None)
        return Erased(
            done["rows"], done["things"], _from_json(done["held"]), done["since"], begun["asked_by"]
        )


def _named(selection: Selection) -> dict[str, str]:
    if isinstance(selection, OfMLApp):
        return {"mlapp_id": selection.mlapp_id}
    return {"label": f"{selection.name}={selection.value}"}


def _held(found: Iterable[Held]) -> Sequence[HeldRecords]:
    now_ms = time.time_ns() // 1_000_000
    return [HeldRecords(each.topic, each.in_words, each.until(now_ms), each.why) for each in found]


def _from_json(found: Iterable[Mapping[str, Any]]) -> Sequence[HeldRecords]:
    return [
        HeldRecords(
            each["topic"],
            each["holds"],
            datetime.fromisoformat(each["until"]) if each["until"] else None,
            each["why"],
        )
        for each in found
    ]


erase_actions: Final = Ways[EraseActions](_Here, _ByServer)
"""``erase_actions(settings, who)``."""

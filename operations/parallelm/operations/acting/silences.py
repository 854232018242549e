"""Silences: made, and ended early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import moment_of, ms_of, path_of
from parallelm.operations.acting.choosing import Ways

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.definitions.matchers import Matcher
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author


@dataclass(frozen=True, slots=True)
class MadeSilence:
    """A silence that is in force, or was until now."""

    silence_id: str
    starts_at_ms: int
    ends_at_ms: int


class SilenceActions(Protocol):
    """Raises ``OperationError``."""

    def add(self, matchers: Sequence[Matcher], *, ends_at_ms: int, comment: str) -> MadeSilence:
        """Mute notifications of what all matchers hold for, from now on."""

    def end(self, silence_id: str, *, comment: str) -> MadeSilence:
        """End a silence now."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def add(self, matchers: Sequence[Matcher], *, ends_at_ms: int, comment: str) -> MadeSilence:
        from parallelm.operations.silences import add_silence

        made = add_silence(self._settings, matchers, ends_at_ms=ends_at_ms, who=self._author, comment=comment)
        return MadeSilence(made.silence_id, made.starts_at_ms, made.ends_at_ms)

    def end(self, silence_id: str, *, comment: str) -> MadeSilence:
        from parallelm.operations.silences import end_silence

        ended = end_silence(self._settings, silence_id, who=self._author, comment=comment)
        return MadeSilence(ended.silence_id, ended.starts_at_ms, ended.ends_at_ms)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def add(self, matchers: Sequence[Matcher], *, ends_at_ms: int, comment: str) -> MadeSilence:
        wanted = {
            "matchers": [
                {"label": each.label, "operator": each.operator, "value": each.value} for each in matchers
            ],
            "ends_at": moment_of(ends_at_ms),
            "comment": comment,
        }
        return _made(self._server.post(path_of("silences"), json=wanted))

    def end(self, silence_id: str, *, comment: str) -> MadeSilence:
        return _made(self._server.post(path_of("silences", silence_id, "end"), json={"comment": comment}))


def _made(answer: dict[str, Any]) -> MadeSilence:
    return MadeSilence(answer["silence_id"], ms_of(answer["starts_at"]), ms_of(answer["ends_at"]))


silence_actions: Final = Ways[SilenceActions](_Here, _ByServer)
"""``silence_actions(settings, who)``."""

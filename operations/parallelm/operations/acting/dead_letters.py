"""Dead letters: sent again, or given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.dead_letters import Answers, list_dead_letters, replayable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.operations.dead_letters import Answer, Selection

_VERBS: Final[dict[Answer, str]] = {"replay_dead_letter": "replay", "drop_dead_letter": "drop"}
_IDS_A_CALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class ChosenLetters:
    """Dead letters that an answer is meant for."""

    letter_ids: Sequence[str]
    left_out: Sequence[str]
    """Why others cannot be answered so, a line a reason."""


class DeadLetterActions(Protocol):
    """Raises ``OperationError`` and what ClickHouse's driver raises."""

    def choose(self, answer: Answer, selection: Selection) -> ChosenLetters:
        """Which of the selected ones can be answered so; nothing is done yet."""

    def give(self, answer: Answer, letter_ids: Sequence[str], *, comment: str) -> int:
        """Answer them; how many were still open."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author
        # Before they are listed: what another process answers from here on is refused.
        self._answers = Answers(settings)

    def choose(self, answer: Answer, selection: Selection) -> ChosenLetters:
        found = list_dead_letters(self._settings, selection)
        if answer == "drop_dead_letter":
            return ChosenLetters(list(found["letter_id"]), ())
        can = replayable(self._settings, found)
        return ChosenLetters(can.letter_ids, can.left_out)

    def give(self, answer: Answer, letter_ids: Sequence[str], *, comment: str) -> int:
        return self._answers.give(answer, letter_ids, who=self._author, comment=comment)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def choose(self, answer: Answer, selection: Selection) -> ChosenLetters:
        asked = {
            "letter_id": selection.letter_id,
            "topic": selection.topic,
            "stage": selection.stage,
            "from": selection.start,
            "to": selection.end,
            "limit": selection.limit,
            "dry_run": True,
        }
        found = self._ask(answer, asked)
        return ChosenLetters(found["letter_ids"], found["left_out"])

    def give(self, answer: Answer, letter_ids: Sequence[str], *, comment: str) -> int:
        pages = (letter_ids[begin : begin + _IDS_A_CALL] for begin in range(0, len(letter_ids), _IDS_A_CALL))
        return sum(
            self._ask(answer, {"letter_ids": list(page), "comment": comment})["count"] for page in pages
        )

    def _ask(self, answer: Answer, body: dict[str, Any]) -> Any:
        return self._server.post(path_of("dead-letters", _VERBS[answer]), json=body)


dead_letter_actions: Final = Ways[DeadLetterActions](_Here, _ByServer)
"""``dead_letter_actions(settings, who)``."""

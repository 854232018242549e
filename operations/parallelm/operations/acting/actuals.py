"""Outcomes of what was predicted, uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.acting.comparing import all_or_changed
from parallelm.operations.acting.point_files import send_file
from parallelm.operations.outcomes import ChangedOutcomes, changed_outcomes, outcomes_of, upload_actuals

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.operations.kpis import PointsFile


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesFile:
    """A file with outcomes."""

    file: PointsFile
    outcome: str
    """What was predicted."""
    id_column: str
    names: bool
    """Values are names of classes."""
    positive: str | None
    """Class that is 1; all others are 0."""


@dataclass(frozen=True, slots=True)
class SentOutcomes:
    """What was sent of a file."""

    outcomes: int
    """Of the file, by their ids."""
    sent: int
    revised: int
    unchanged: int
    unpredicted: int
    """Ids of which there is no prediction yet."""
    not_compared: Exception | None = None
    """Why all were sent, also those that are known."""


class ActualActions(Protocol):
    """Raises ``OperationError`` and ``SchemaError``."""

    def upload(self, mlapp_id: str, wanted: OutcomesFile) -> SentOutcomes:
        """Upload the outcomes of a file that differ from what is known."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def upload(self, mlapp_id: str, wanted: OutcomesFile) -> SentOutcomes:
        outcomes = outcomes_of(
            wanted.file.found, wanted.id_column, names=wanted.names, positive=wanted.positive
        )
        changed, why = all_or_changed(
            lambda: changed_outcomes(self._settings, mlapp_id, wanted.outcome, outcomes),
            ChangedOutcomes(outcomes, 0, 0, 0),
        )
        if changed.outcomes:
            upload_actuals(
                self._settings,
                mlapp_id,
                wanted.outcome,
                wanted.file.name,
                changed.outcomes,
                who=self._author,
            )
        return SentOutcomes(
            len(outcomes),
            len(changed.outcomes),
            changed.revised,
            changed.unchanged,
            changed.unpredicted,
            why,
        )


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def upload(self, mlapp_id: str, wanted: OutcomesFile) -> SentOutcomes:
        answer = send_file(
            self._server,
            path_of("mlapps", mlapp_id, "actuals-uploads"),
            wanted.file,
            outcome=wanted.outcome,
            classes=wanted.names,
            positive=wanted.positive,
            column=_columns(wanted),
        )
        return SentOutcomes(
            *(answer[name] for name in ("outcomes", "sent", "revised", "unchanged", "unpredicted"))
        )


def _columns(wanted: OutcomesFile) -> list[str]:
    columns = {**wanted.file.said.get("columns", {}), "id": wanted.id_column}
    return [f"{name}={column}" for name, column in columns.items()]


actual_actions: Final = Ways[ActualActions](_Here, _ByServer)
"""``actual_actions(settings, who)``."""

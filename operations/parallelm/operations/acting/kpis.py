"""Business KPIs: uploaded, and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import ms_of, path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.acting.comparing import all_or_changed
from parallelm.operations.acting.point_files import send_file
from parallelm.operations.errors import OperationError
from parallelm.operations.kpis import (
    ChangedPoints,
    UploadedKpi,
    changed_points,
    last_points,
    upload_kpis,
    withdraw_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.operations.kpis import PointsFile


@dataclass(frozen=True, slots=True)
class SentPoints:
    """What was sent of a file."""

    kpis: Sequence[UploadedKpi]
    revised: int
    """Known points that get another value."""
    unchanged: int
    """Points that are known with this value, and were not sent."""
    not_compared: Exception | None = None
    """Why all points were sent, also those that are known."""
    notes: Sequence[str] = ()
    """What is odd about them, as ``ChangedPoints.notes``."""


@dataclass(frozen=True, slots=True)
class SelectedPoints:
    """Points that are to be taken back."""

    question: Mapping[str, Any]
    count: int
    first: pd.DataFrame
    """All of them, or the first ones."""


class KpiActions(Protocol):
    """Raises ``OperationError``, ``SchemaError`` and what ClickHouse's driver raises."""

    def upload(self, mlapp_id: str, file: PointsFile, on_share: Callable[[float], None]) -> SentPoints:
        """Upload the good points of a file that differ from what is known."""

    def select(self, **question: Any) -> SelectedPoints:
        """Points by ``name``, ``mlapp_id``, ``labels``, ``without_labels``, ``start`` and ``end``."""

    def withdraw(self, selected: SelectedPoints, *, comment: str) -> int:
        """Take them back; how many."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def upload(self, mlapp_id: str, file: PointsFile, on_share: Callable[[float], None]) -> SentPoints:
        points = file.found.points
        changed, why = all_or_changed(
            lambda: changed_points(self._settings, mlapp_id, points), ChangedPoints(last_points(points), 0, 0)
        )
        count, sent = len(changed.points), 0

        def on_progress(more: int) -> None:
            nonlocal sent
            sent += more
            on_share(sent / count)

        kpis = (
            upload_kpis(
                self._settings, mlapp_id, file.name, changed.points, who=self._author, on_progress=on_progress
            )
            if count
            else []
        )
        return SentPoints(kpis, changed.revised, changed.unchanged, why, changed.notes)

    def select(self, **question: Any) -> SelectedPoints:
        from parallelm.warehouse.queries import kpis

        found = kpis(self._settings, question["name"], **{k: v for k, v in question.items() if k != "name"})
        return SelectedPoints(question, len(found), found)

    def withdraw(self, selected: SelectedPoints, *, comment: str) -> int:
        return withdraw_rows(self._settings, selected.first, who=self._author, comment=comment)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def upload(self, mlapp_id: str, file: PointsFile, on_share: Callable[[float], None]) -> SentPoints:
        more = {"kpi": file.said.get("kpi", ""), "ignore": list(file.said.get("ignore", ()))}
        answer = send_file(self._server, path_of("mlapps", mlapp_id, "kpi-uploads"), file, **more)
        on_share(1.0)
        return SentPoints(
            [_kpi(each) for each in answer["sent_kpis"]],
            answer["revised"],
            answer["unchanged"],
            notes=answer.get("notes", ()),
        )

    def select(self, **question: Any) -> SelectedPoints:
        import pandas as pd

        if not question["mlapp_id"]:
            raise OperationError("a server takes points back of one MLApp at a time: name it with --mlapp")
        asked = {
            "name": question["name"],
            "labels": question["labels"],
            "without_labels": list(question["without_labels"]),
            "from": question["start"],
            "to": question["end"],
        }
        answer = self._withdrawal({**question, "asked": asked}, comment="-", dry_run=True)
        first = pd.DataFrame(answer["first"], columns=["event_time", "labels", "value", "source"])
        first["event_time"] = pd.to_datetime(first["event_time"], utc=True)
        first["value"] = first["value"].astype(float)
        first["mlapp_id"] = question["mlapp_id"]
        return SelectedPoints({**question, "asked": asked}, answer["points"], first)

    def withdraw(self, selected: SelectedPoints, *, comment: str) -> int:
        answer = self._withdrawal(selected.question, comment=comment, expected=selected.count)
        return int(answer["points"])

    def _withdrawal(self, question: Mapping[str, Any], **more: Any) -> Any:
        path = path_of("mlapps", question["mlapp_id"], "kpi-withdrawals")
        return self._server.post(path, json={**question["asked"], **more})


def _kpi(found: Mapping[str, Any]) -> UploadedKpi:
    return UploadedKpi(found["name"], found["points"], ms_of(found["first_time"]), ms_of(found["last_time"]))


kpi_actions: Final = Ways[KpiActions](_Here, _ByServer)
"""``kpi_actions(settings, who)``."""

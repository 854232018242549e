"""What of an MLApp runs: launched, paused, stopped, put away; a node run now, a run stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import path_of, wait_s
from parallelm.operations.acting.choosing import Ways
from parallelm.schemas.records import RunState
from parallelm.schemas.well_known import DELETE, RUN_NODE, STOP_RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import RunTransition


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What the control plane answers, about the MLApp as a whole or one of its runs."""

    mlapp_id: str
    node_id: str
    run_id: str
    state: str
    reason: str

    @property
    def is_refusal(self) -> bool:
        """Whether nothing of it was done."""
        return self.state == RunState.REFUSED.value


class RunActions(Protocol):
    """Raises ``OperationError`` and what ClickHouse's driver raises."""

    def decide(
        self, action: str, mlapp_id: str, *, node_id: str, comment: str, timeout_s: float
    ) -> Sequence[RunAnswer]:
        """Carry out one of ``RUN_ACTIONS`` on an MLApp or one of its nodes."""

    def stop_run(self, run: str, *, force: bool, comment: str, timeout_s: float) -> Sequence[RunAnswer]:
        """Stop the run whose id begins so; with ``force`` it is given up as lost when its agent does not answer."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def decide(self, action: str, mlapp_id: str, **said: Any) -> Sequence[RunAnswer]:
        from parallelm.operations.runs import decide_runs

        return _answers(decide_runs(self._settings, action, mlapp_id, who=self._author, **said))

    def stop_run(self, run: str, **said: Any) -> Sequence[RunAnswer]:
        from parallelm.operations.runs import decide_runs, find_run

        found = find_run(self._settings, run)
        about = {"run_id": found["run_id"], **said}
        return _answers(decide_runs(self._settings, STOP_RUN, found["mlapp_id"], who=self._author, **about))


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def decide(
        self, action: str, mlapp_id: str, *, node_id: str, comment: str, timeout_s: float
    ) -> Sequence[RunAnswer]:
        if action == DELETE:
            said = {"confirm": mlapp_id, "comment": comment, **wait_s(timeout_s)}
            return _found(mlapp_id, self._server.delete(path_of("mlapps", mlapp_id), said))
        name = "run" if action == RUN_NODE else action
        path = path_of("mlapps", mlapp_id, *(("nodes", node_id) if node_id else ()), name)
        return self._post(mlapp_id, path, {"comment": comment}, timeout_s)

    def stop_run(self, run: str, *, force: bool, comment: str, timeout_s: float) -> Sequence[RunAnswer]:
        meant = self._server.get(path_of("run-ids"), {"prefix": run})
        path = path_of("mlapps", meant["mlapp_id"], "runs", meant["run_id"], "stop")
        return self._post(meant["mlapp_id"], path, {"comment": comment, "force": force}, timeout_s)

    def _post(self, mlapp_id: str, path: str, said: dict[str, Any], timeout_s: float) -> Sequence[RunAnswer]:
        return _found(mlapp_id, self._server.post(path, params=wait_s(timeout_s), json=said))


def _answers(found: Iterable[RunTransition]) -> Sequence[RunAnswer]:
    return [
        RunAnswer(each.mlapp_id, each.node_id, each.run_id, each.state.value, each.reason) for each in found
    ]


def _found(mlapp_id: str, answer: dict[str, Any]) -> Sequence[RunAnswer]:
    return [
        RunAnswer(mlapp_id, *(each[name] for name in ("node_id", "run_id", "state", "reason")))
        for each in answer["answers"]
    ]


run_actions: Final = Ways[RunActions](_Here, _ByServer)
"""``run_actions(settings, who)``."""

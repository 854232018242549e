"""What must hold for the transitions of alerts whatever has happened: for every test that reads ``mlops.alerts``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.schemas.records import AlertTransition

LABELS = {"alertname", "mlapp", "node", "agent", "pipeline", "severity"}
_NEXT = {
    "inactive": {"pending", "firing"},
    "pending": {"firing", "inactive"},
    "firing": {"acknowledged", "resolved"},
}


def assert_legal(transitions: Iterable[AlertTransition]) -> dict[str, AlertTransition]:
    """Check transitions in the order of their partitions; the last one of each alert that is open, by fingerprint."""
    ids: set[str] = set()
    episodes: set[str] = set()
    opened: dict[str, AlertTransition] = {}
    for each in transitions:
        assert each.transition_id not in ids, f"a transition was written twice: {each}"
        ids.add(each.transition_id)
        before = opened.get(each.fingerprint)
        state = "inactive" if before is None else _held(before)
        assert each.previous_state.value == state, f"the alert was {state}: {each}"
        assert each.state.value in _NEXT[state], f"{state} -> {each.state}: {each}"
        if before is None:
            assert each.alert_id not in episodes, f"an episode that was over goes on: {each}"
            episodes.add(each.alert_id)
        else:
            assert (each.alert_id, each.started_at_ms) == (before.alert_id, before.started_at_ms), each
        assert each.event_time_ms >= each.started_at_ms or each.state.value == "acknowledged", each
        assert set(each.labels) >= LABELS, each
        assert each.reason or each.state.value == "acknowledged", each
        if each.state.value in {"inactive", "resolved"}:
            del opened[each.fingerprint]
        else:
            opened[each.fingerprint] = each
    return opened


def _held(transition: AlertTransition) -> str:
    """An acknowledged alert goes on firing."""
    return "firing" if transition.state.value == "acknowledged" else transition.state.value

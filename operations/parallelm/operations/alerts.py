"""Alerts: list them, find one by the beginning of its id, and answer it as a person."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.operations.actions import ANSWER_TIMEOUT_S, act, new_action
from parallelm.operations.errors import AlertNotOpenError, NoEffectError, UnknownAlertError
from parallelm.operations.json_values import scalar_text
from parallelm.operations.silences import SHOWN_BESIDE_TIMEOUT_S, list_silences, silences_of
from parallelm.schemas.topics import ALERTS
from parallelm.schemas.well_known import ACKNOWLEDGE, CLOSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import AlertTransition
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries import Keyset, OneOrMore

_SHOWN = 5
_SIMILAR = 0.5


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of an alert with everything that has happened to it."""

    alert: Mapping[str, Any]
    """Row of ``alerts_current``."""
    transitions: Sequence[Mapping[str, Any]]
    """Rows of ``alert_transitions``, in the order in which they were recorded."""


def list_alerts(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    rule: str | None = None,
    severity: str | None = None,
    node_id: str | None = None,
    state: str | None = None,
    labels: Mapping[str, str] | None = None,
    also_over: bool = False,
    at: Time | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Alerts that are open, now or ``at`` an event time; with ``also_over``, or a ``state``, those that have ended too.

    ``start`` and ``end`` limit them to those whose condition was met in this range of event time.

    Columns as ``parallelm.warehouse.queries.alerts``.
    """
    from parallelm.warehouse.queries import alerts

    return alerts(
        settings,
        mlapp_id=mlapp_id,
        rule=rule,
        severity=severity,
        node_id=node_id,
        state=state,
        labels=labels,
        fired_only=False,
        open_only=not (also_over or state),
        at=at,
        start=start,
        end=end,
        page=page,
    )


def silenced_by(settings: Settings, found: pd.DataFrame) -> list[str]:
    """Of each listed alert who mutes its notifications now; empty for those that are over. Raises as ``list_silences``."""
    from parallelm.warehouse.queries import OPEN_STATES

    is_open = [state in OPEN_STATES for state in found["state"]]
    known = list_silences(settings, timeout_s=SHOWN_BESIDE_TIMEOUT_S) if any(is_open) else []
    now_ms = time.time_ns() // 1_000_000
    return [
        ", ".join(dict.fromkeys(each.who for each in silences_of(known, labels, now_ms))) if still else ""
        for still, labels in zip(is_open, found["labels"], strict=True)
    ]


def find_alert(settings: Settings, text: str, mlapp_id: OneOrMore | None = None) -> Mapping[str, Any]:
    """The episode whose id ``text`` is or begins; of several episodes of one alert the open one, else the latest.

    With ``mlapp_id`` among the alerts of this MLApp, or of these, which are then all that an error names.

    Raises ``UnknownAlertError`` with those that are near.
    """
    from parallelm.warehouse.queries import alert_episodes

    found = alert_episodes(settings, text, mlapp_id=mlapp_id) if text.strip() else []
    exact = [row for row in found if text in {row["alert_id"], row["fingerprint"]}]
    candidates = exact or found
    fingerprints = {row["fingerprint"] for row in candidates}
    if len(fingerprints) == 1:
        return candidates[0]
    if fingerprints:
        raise UnknownAlertError(
            f"{len(fingerprints)} alerts begin with {text!r}; write more of the id:\n{_lines(candidates)}"
        )
    raise UnknownAlertError(_unknown(settings, text, mlapp_id))


def show_alert(settings: Settings, text: str, mlapp_id: str | None = None) -> Episode:
    """The episode that ``text`` names, with its transitions; raises as ``find_alert``."""
    from parallelm.warehouse.queries import alert_transitions

    alert = find_alert(settings, text, mlapp_id)
    return Episode(alert, alert_transitions(settings, alert_id=alert["alert_id"], mlapp_id=alert["mlapp_id"]))


def acknowledge_alert(
    settings: Settings,
    text: str,
    *,
    who: Author,
    comment: str,
    mlapp_id: str | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> AlertTransition:
    """Say that a person takes care of a firing alert, and return the transition that follows.

    Raises ``AlertNotOpenError`` for one that is over, pending or acknowledged already, and as ``find_alert`` and ``act``.
    """
    alert = find_alert(settings, text, mlapp_id)
    _require_open(alert)
    if alert["acknowledged_at"] is not None:
        raise AlertNotOpenError(
            f"alert {alert['alert_id']} is acknowledged already: by {alert['acknowledged_by']} at "
            f"{scalar_text(alert['acknowledged_at'])} UTC"
        )
    if alert["state"] == "pending":
        raise AlertNotOpenError(
            f"alert {alert['alert_id']} is pending and has not fired: there is nothing to acknowledge yet; "
            "`mcenter alerts close` ends it"
        )
    return _answer(settings, alert, ACKNOWLEDGE, who, comment, timeout_s)


def close_alert(
    settings: Settings,
    text: str,
    *,
    who: Author,
    comment: str,
    mlapp_id: str | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> AlertTransition:
    """End an episode as a person, and return the transition that follows. The alert fires again in a new episode only.

    Raises ``AlertNotOpenError`` for one that is over, and as ``find_alert`` and ``act``.
    """
    alert = find_alert(settings, text, mlapp_id)
    _require_open(alert)
    return _answer(settings, alert, CLOSE, who, comment, timeout_s)


def _answer(
    settings: Settings, alert: Mapping[str, Any], action: str, who: Author, comment: str, timeout_s: float
) -> AlertTransition:
    record = new_action(
        action,
        alert["mlapp_id"],
        who=who,
        comment=comment,
        node_id=alert["node_id"],
        target=alert["alert_id"],
    )
    try:
        transition: AlertTransition = act(settings, record, ALERTS, timeout_s=timeout_s)[0]
    except NoEffectError as error:
        raise AlertNotOpenError(
            f"alert {alert['alert_id']} is not open any more: it ended while this was asked; "
            f"see `mcenter alerts show {alert['alert_id']}`"
        ) from error
    return transition


def _require_open(alert: Mapping[str, Any]) -> None:
    from parallelm.warehouse.queries import OPEN_STATES

    if alert["state"] in OPEN_STATES:
        return
    when = f" since {scalar_text(alert['resolved_at'])} UTC" if alert["resolved_at"] is not None else ""
    why = f" ({alert['resolved_reason']})" if alert["resolved_reason"] else ""
    raise AlertNotOpenError(
        f"alert {alert['alert_id']} is not open any more: it is {alert['state']}{when}{why}"
    )


def _unknown(settings: Settings, text: str, mlapp_id: OneOrMore | None) -> str:
    """What there is instead: open alerts whose id, rule or node is like the text, else the latest ones."""
    from parallelm.warehouse.queries import alert_episodes

    latest = alert_episodes(settings, "", mlapp_id=mlapp_id)
    if not latest:
        return f"there is no alert {text!r}: none has been raised yet"
    by_name = {name: row for row in reversed(latest) for name in (row["rule"], row["alert_id"][: len(text)])}
    near = difflib.get_close_matches(text, by_name, _SHOWN, _SIMILAR)
    rows = [by_name[name] for name in near] or latest[:_SHOWN]
    what = "near it are" if near else "the latest are"
    return f"there is no alert {text!r}; {what}:\n{_lines(rows)}"


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    unique = list({row["alert_id"]: row for row in rows}.values())[:_SHOWN]
    return "\n".join(
        f"  {row['alert_id']}  {row['mlapp_id']}  {row['rule']}  {row['node_id']}  {row['state']}"
        for row in unique
    )

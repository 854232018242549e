"""Why an alert was raised, went on and ended: the rule as it was, the samples that it compared, and what people did."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

from parallelm.operations.authors import who_said
from parallelm.operations.errors import QuestionError
from parallelm.operations.explaining.part import Part, of_json
from parallelm.operations.explaining.records import cause_of, definition_then, epoch_ms
from parallelm.operations.json_values import plain, scalar_text
from parallelm.operations.rules_in_words import rules_in_words
from parallelm.operations.silences import SHOWN_BESIDE_TIMEOUT_S, list_silences, silences_of
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.well_known import FEATURE_LABEL, LINE_LABEL, OVERLAP_LABEL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from parallelm.connections import Settings

_BEFORE_MS = 3_600_000
_NOT_OF_SERIES = frozenset(
    {"alertname", "mlapp", "severity", "node", "agent", "pipeline", "model", "statistic", FEATURE_LABEL}
)
_NUMBERS = {"firing", "pending", "resolved"}


def explain_alert(settings: Settings, alert: Mapping[str, Any]) -> Part:
    """The whole tree of one episode, a row of ``alerts_current``."""
    from parallelm.warehouse.queries import actions_on, alert_transitions, notifications_of

    found = alert_transitions(settings, alert_id=alert["alert_id"], mlapp_id=alert["mlapp_id"])
    parts = [_rule(settings, alert, found[0]["ingested_at"])] if found else []
    parts += [_transition(settings, alert, each) for each in found]
    actions = actions_on(settings, alert["mlapp_id"], [alert["alert_id"], alert["fingerprint"]])
    parts += [
        Part(
            f"{who_said(each['who'], each['imported_from'])} asked to {each['action']} at {_time(each['event_time'])}: "
            f"{each['comment']}",
            plain(each),
        )
        for each in actions
    ]
    parts += _silences(settings, alert)
    parts += [
        Part(
            f"notification to {each['target']} {each['state']} at {_time(each['event_time'])}: {each['title']}",
            plain(each),
        )
        for each in notifications_of(settings, [each["transition_id"] for each in found])
    ]
    what = f"alert {alert['alert_id']}: rule {alert['rule']!r} of MLApp {alert['mlapp_id']!r} is {alert['state']}"
    return Part(what, plain(dict(alert)), parts)


def _rule(settings: Settings, alert: Mapping[str, Any], moment: datetime) -> Part:
    if alert["rule_type"] == "component":
        return Part("raised by the component itself: it ends a day after the component has reported it last")
    row, definition = definition_then(settings, alert["mlapp_id"], moment)
    if row is None:
        return Part("the rule as it was is not known: the warehouse has no definition of that time")
    where = f"rule {alert['rule']!r} ({alert['rule_type']}) as of version {row['version']}, applied by {row['applied_by']}"
    values = {"version": row["version"], "applied_by": row["applied_by"]}
    try:
        words = rules_in_words(definition) if definition is not None else []
    except QuestionError:
        words = []
    for rule in words:
        if rule.name == alert["rule"]:
            lines = [Part(f"{title}: {text}") for title, text in rule.lines]
            return Part(where, values | dict(rule.lines), lines)
    names = list(row["rules.name"])
    if alert["rule"] not in names:
        return Part(f"rule {alert['rule']!r} is not in version {row['version']}, which was in force", values)
    parameters = json.loads(row["rules.parameters_json"][names.index(alert["rule"])])
    return Part(where, values | parameters, of_json(parameters))


def _transition(settings: Settings, alert: Mapping[str, Any], transition: Mapping[str, Any]) -> Part:
    who = f" by {transition['who']}" if transition["who"] else ""
    text = f"{transition['state']}{who} at {_time(transition['event_time'])}: {transition['reason']}"
    parts = []
    if not math.isnan(transition["value"]) and transition["state"] in _NUMBERS:
        threshold = transition["threshold"]
        beside = "" if math.isnan(threshold) else f", compared with {threshold:g}"
        parts.append(Part(f"value {transition['value']:g}{beside}"))
    parts.append(cause_of(settings, transition))
    parts.append(
        Part(f"decided at {_time(transition['decided_at'])}, transition {transition['transition_id']}")
    )
    if transition["state"] in _NUMBERS and alert["rule_type"] != "component":
        parts += _samples(settings, alert, transition)
    if transition["supersedes"]:
        parts.append(Part(f"corrects transition {transition['supersedes']}"))
    return Part(text, plain(dict(transition)), parts)


def _samples(settings: Settings, alert: Mapping[str, Any], transition: Mapping[str, Any]) -> Sequence[Part]:
    """The samples of the series from its condition's beginning to the transition, and some before."""
    from parallelm.warehouse.queries import samples_around

    labels = alert["labels"]
    conditions = {key: [value] for key, value in labels.items() if key not in _NOT_OF_SERIES}
    if FEATURE_LABEL in labels:
        feature = labels[FEATURE_LABEL]
        conditions |= {FEATURE_LABEL: [feature], LINE_LABEL: [feature, f"{OVERLAP_LABEL_PREFIX}{feature}"]}
    started_ms, at_ms = epoch_ms(alert["started_at"]), epoch_ms(transition["event_time"])
    found = samples_around(
        settings,
        mlapp_id=alert["mlapp_id"],
        name=alert["statistic"],
        node_id=labels.get("node", ""),
        agent_id=labels.get("agent", ""),
        labels=conditions,
        from_ms=started_ms - max(_BEFORE_MS, at_ms - started_ms),
        to_ms=at_ms,
    )
    if not found:
        return ()
    lines = [
        Part(
            f"{_time(each['event_time'])}  {each['value']:g}  {each['_topic']}/{each['_partition']}@{each['_offset']}",
            plain(each),
        )
        for each in found
    ]
    which = "the last sample" if len(found) == 1 else f"the last {len(found)} samples"
    return (Part(f"{which} of {alert['statistic']!r} up to then", parts=lines),)


def _silences(settings: Settings, alert: Mapping[str, Any]) -> Sequence[Part]:
    try:
        known = list_silences(settings, timeout_s=SHOWN_BESIDE_TIMEOUT_S)
    except SchemaError as error:
        return (Part(f"silences are not shown: {error}"),)
    now_ms = time.time_ns() // 1_000_000
    return [
        Part(f"silenced now by {each.who} (silence {each.silence_id}): {each.comment}", plain(each))
        for each in silences_of(known, alert["labels"], now_ms)
    ]


def _time(moment: datetime) -> str:
    return scalar_text(moment)

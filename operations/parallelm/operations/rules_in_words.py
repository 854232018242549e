"""What alert rules do, in words, with everything filled in that their file leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.operations.errors import QuestionError
from parallelm.stream_processors.alerts.rules import MLAppRule, SampleRule, SeriesRule, core_of
from parallelm.stream_processors.alerts.rules.no_data import NoDataRule
from parallelm.stream_processors.alerts.series import DEFAULT_STALE_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.schemas.records import MLAppDefinition
    from parallelm.stream_processors.alerts.rule import RuleSettings
    from parallelm.stream_processors.alerts.rules import RuleCore

_SHARED = frozenset(
    {
        "statistic_pattern", "match_patterns", "max_gap_ms", "stale_after_ms", "no_data", "grace_ms", "aggregate",
        "window_ms", "quantile", "by", "function", "bucket_ms", "labels_apart",
    }
)  # fmt: skip
"""Parameters that every type may have, and that are said in other lines."""
_SUFFIX_MS = "_ms"


@dataclass(frozen=True, slots=True)
class RuleInWords:
    """One rule."""

    name: str
    type: str
    severity: str
    lines: list[tuple[str, str]]
    """Title and text."""


def rules_in_words(definition: MLAppDefinition) -> list[RuleInWords]:
    """Every rule of a definition; raises ``QuestionError`` for one that this version cannot judge."""
    found = []
    for rule in definition.rules:
        try:
            core = core_of(definition.mlapp_id, rule)
        except (ValueError, KeyError, TypeError) as error:
            raise QuestionError(f"rule {rule.name!r} cannot be judged: {error}") from error
        found.append(RuleInWords(rule.name, rule.type, rule.severity, list(_lines(core))))
    return found


_WITHOUT_STATISTIC = {
    "no_data": "all reports",
    "event": "events",
    "kpi": "KPI points",
    "canary": "canary comparisons",
    "health": "features of data distributions",
}
"""What types that name no statistic are about."""


_NAMED = {
    "event": ("events of type", "events whose types match"),
    "kpi": ("KPI", "KPIs whose names match"),
}
"""How types name what they watch when it is no statistic."""


def _lines(core: RuleCore) -> Iterator[tuple[str, str]]:
    settings = core.settings
    yield "watches", _watched(core)
    condition = ", ".join(_parameters(core))
    if condition:
        yield "settings" if isinstance(core, NoDataRule) else "condition", condition
    if settings.aggregation is not None and isinstance(core, SampleRule):
        yield "together", _aggregation(settings)
    if isinstance(core, MLAppRule):
        yield from _groups(core)
    yield "fires", _fires(core)
    timing = settings.timing
    if isinstance(core, NoDataRule):
        yield "ends", "with the next report"
    elif timing.keep_firing_for_ms:
        yield "ends", f"when the condition has been over for {format_duration(timing.keep_firing_for_ms)}"
    else:
        yield "ends", "with the first report that does not meet the condition"
    if isinstance(core, SeriesRule):
        yield "silence", _silence(settings)
    if settings.grace_ms:
        yield (
            "late reports",
            f"are judged in their place if they come within {format_duration(settings.grace_ms)}",
        )
    if core.about_model:
        yield "model", "each alert is about one model, and ends when that is superseded"
    labels = {"alertname": settings.name, "mlapp": settings.mlapp_id, "severity": settings.severity}
    yield "labels", _pairs(labels | dict(settings.labels))
    for key, text in settings.annotations.items():
        yield f"text {key}", text


def _watched(core: RuleCore) -> str:
    matching = core.settings.matching
    one, several = _NAMED.get(core.settings.type, ("statistic", "statistics whose names match"))
    if matching.statistic_pattern is not None:
        what = f"{several} {matching.statistic_pattern.pattern!r}"
    elif matching.statistic:
        what = f"{one} {matching.statistic!r}"
    else:
        what = _WITHOUT_STATISTIC.get(core.settings.type, "what its type is about")
    where = f"of node {matching.node_id!r}" if matching.node_id else "of every node"
    conditions = [f"{key} = {value!r}" for key, value in matching.labels.items()]
    conditions += [f"{key} matches {pattern.pattern!r}" for key, pattern in matching.patterns.items()]
    with_labels = f" with {', '.join(conditions)}" if conditions else ""
    each = (
        ""
        if core.settings.aggregation is not None or isinstance(core, MLAppRule)
        else ", each series by itself"
    )
    return f"{what} {where}{with_labels}{each}"


def _parameters(core: RuleCore) -> Iterator[str]:
    parameters = {key: value for key, value in core.parameters.items() if key not in _SHARED}
    if {"side", "threshold"} <= parameters.keys():
        yield f"{parameters.pop('side')} {parameters.pop('threshold'):g}"
    for key, value in parameters.items():
        if value is None:
            continue
        if key.endswith(_SUFFIX_MS) and isinstance(value, int | float):
            yield f"{key.removesuffix(_SUFFIX_MS).replace('_', ' ')} {format_duration(value)}"
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{key.replace('_', ' ')} {shown}"


def _aggregation(settings: RuleSettings) -> str:
    aggregation = settings.aggregation
    assert aggregation is not None  # noqa: S101 - asked for one that has it
    what = aggregation.function
    if what == "quantile":
        what = f"{aggregation.quantile:g} quantile"
    by = f", apart by {', '.join(aggregation.by)}" if aggregation.by else ", all in one"
    return f"{what} over windows of {format_duration(aggregation.window_ms)}{by}"


def _groups(core: RuleCore) -> Iterator[tuple[str, str]]:
    """What rules of the MLApp stage count or take together, and what they keep apart."""
    found = core.parameters
    by = found.get("by") or found.get("labels_apart")
    if found.get("bucket_ms"):
        yield "together", f"{found['function']} over windows of {format_duration(found['bucket_ms'])}"
    elif found.get("window_ms"):
        yield "together", f"counted over the last {format_duration(found['window_ms'])}"
    if by:
        yield "apart", f"by {', '.join(by)}: each group is judged by itself"


def _fires(core: RuleCore) -> str:
    timing = core.settings.timing
    if isinstance(core, NoDataRule):
        return f"when nothing has come for {format_duration(timing.for_ms)}"
    if not timing.for_ms:
        return "with the first report that meets the condition"
    held = f"when the condition has held for {format_duration(timing.for_ms)}"
    if not isinstance(core, SeriesRule):
        return held
    if timing.max_gap_ms is not None:
        return (
            f"{held}; a time of more than {format_duration(timing.max_gap_ms)} without reports interrupts it"
        )
    return (
        f"{held}; a gap longer than {format_duration(timing.for_ms / 2)} and five times the series' usual distance "
        "interrupts it"
    )


def _silence(settings: RuleSettings) -> str:
    then = {
        "ok": "ends the alert",
        "alerting": "fires",
        "keep": "changes nothing",
    }[settings.no_data]
    if settings.stale_after_ms is not None:
        return f"a series without reports for {format_duration(settings.stale_after_ms)} {then}"
    return (
        f"a series without reports for {format_duration(DEFAULT_STALE_MS)}, or five times its usual distance if that "
        f"is longer, {then}"
    )


def _pairs(texts: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in texts.items())

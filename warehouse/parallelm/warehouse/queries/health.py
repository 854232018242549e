"""How healthy an MLApp is: its features in training and at work, and how much it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parallelm.warehouse.queries._frames import Conditions, records
from parallelm.warehouse.queries._known_at import knows_everything

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time

_LATEST: Final = "(event_time, ingested_at, _offset, _series, _index)"
_FEATURE: Final = (
    "if(mapContains(labels, %(feature)s), labels[%(feature)s], replaceOne(labels[%(line)s], %(prefix)s, ''))"
)
_AT_WORST: Final = """
    AND (NOT {feature} IN (SELECT feature FROM worst)
         OR ({feature}, event_time, node_id, agent_id) IN (SELECT feature, at.1, at.2, at.3 FROM worst))
"""


@dataclass(frozen=True, slots=True)
class Names:
    """What reports about the distribution of data are called."""

    histograms: Sequence[str]
    scores: Sequence[str]
    """Statistics that hold similarity scores, a series a feature."""
    drift: str
    """Beginning of the names of measures of drift."""
    feature_label: str
    line_label: str
    """Label whose value is ``line_prefix`` and the feature, where there is no feature label."""
    line_prefix: str
    phase_label: str
    training: str
    inference: str
    """Values of the phase label."""

    def feature_of(self, labels: Mapping[str, str]) -> str:
        """The feature that a series is about."""
        return labels.get(self.feature_label) or labels.get(self.line_label, "").removeprefix(
            self.line_prefix
        )


@dataclass(frozen=True, slots=True)
class Reporter:
    """A node on a host; an empty field means any."""

    node_id: str = ""
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class FeatureHealth:
    """One feature: how the data at work differ from those of training."""

    feature: str
    score: float | None
    """Similarity score, 0 to 1; None when none was reported."""
    lowest: float | None
    """Of the time asked for."""
    reported_at: datetime
    reporter: Reporter
    measures: Mapping[str, float] = field(default_factory=dict)
    """Value of each ``drift.…`` statistic, as latest reported as ``score``."""


def feature_health(
    settings: Settings,
    mlapp_id: str,
    names: Names,
    *,
    inference: Reporter | None = None,
    at_worst: bool = False,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> list[FeatureHealth]:
    """Every feature with a similarity score or a measure of drift in this time, the worst first.

    Each as it was last reported, or with ``at_worst`` as in the report with its lowest score.
    """
    where = _where(mlapp_id, inference, start, end, known_at)
    found = records(
        settings,
        f"""
        WITH worst AS (
            SELECT {_FEATURE} AS feature, argMin((event_time, node_id, agent_id), (value, event_time)) AS at
            FROM statistics {where} AND name IN %(scores)s AND isFinite(value)
            GROUP BY feature
        )
        SELECT name, {_FEATURE} AS feature,
               argMax(value, {_LATEST}) AS latest, min(value) AS lowest, max(event_time) AS reported_at,
               argMax((toString(node_id), toString(agent_id)), {_LATEST}) AS reporter
        FROM statistics {where} AND (name IN %(scores)s OR startsWith(name, %(drift)s)) AND isFinite(value)
            {_AT_WORST.format(feature=_FEATURE) if at_worst else ""}
        GROUP BY name, feature
        HAVING feature != ''
        """,  # noqa: S608 - made of our own names; values are parameters
        where.parameters
        | {
            "scores": tuple(names.scores),
            "drift": names.drift,
            "feature": names.feature_label,
            "line": names.line_label,
            "prefix": names.line_prefix,
        },
    )
    features: dict[str, dict[str, dict[str, Any]]] = {}
    for row in found:
        features.setdefault(row["feature"], {})[row["name"]] = row
    made = [_feature(name, rows, names.scores) for name, rows in features.items()]
    return sorted(
        made,
        key=lambda each: (each.score is None, each.score, each.feature),
    )


def _feature(name: str, rows: Mapping[str, Mapping[str, Any]], scores: Sequence[str]) -> FeatureHealth:
    score = next((rows[each] for each in scores if each in rows), None)
    last = score or max(rows.values(), key=lambda row: row["reported_at"])
    return FeatureHealth(
        name,
        None if score is None else score["latest"],
        None if score is None else score["lowest"],
        last["reported_at"],
        Reporter(*last["reporter"]),
        {each: row["latest"] for each, row in rows.items() if each not in scores},
    )


def feature_histograms(
    settings: Settings,
    mlapp_id: str,
    names: Names,
    feature: str,
    *,
    training: Reporter | None = None,
    inference: Reporter | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The latest histogram of a feature at work, and before it that of the training of the same model.

    Rows of ``histograms``, training first; None where there is none. Data that name no model are compared with the latest
    training before them.
    """
    worked = _where(mlapp_id, inference, start, end, known_at)
    at_work = _histogram(settings, worked, names, feature, names.inference)
    # Training may lie before the time that is looked at.
    trained = _where(mlapp_id, training, None, end, known_at)
    if at_work and at_work["model_id"]:
        trained.equal(model_id=at_work["model_id"])
    return _histogram(settings, trained, names, feature, names.training), at_work


def histogram_reporters(settings: Settings, mlapp_id: str, names: Names) -> dict[str, list[Reporter]]:
    """Who has reported histograms of training and of data at work, by phase."""
    found = records(
        settings,
        """
        SELECT labels[%(phase)s] AS phase, toString(node_id) AS node_id, toString(agent_id) AS agent_id
        FROM histograms
        WHERE mlapp_id = %(mlapp_id)s AND name IN %(names)s
        GROUP BY phase, node_id, agent_id
        ORDER BY node_id, agent_id
        """,
        {"mlapp_id": mlapp_id, "names": tuple(names.histograms), "phase": names.phase_label},
    )
    reporters: dict[str, list[Reporter]] = {names.training: [], names.inference: []}
    for row in found:
        reporters.setdefault(row["phase"], []).append(Reporter(row["node_id"], row["agent_id"]))
    return reporters


@dataclass(frozen=True, slots=True)
class Activity:
    """What an MLApp did in a time."""

    predictions: float
    models_produced: int
    models_consumed: int
    """Models that were live on some node."""
    alerts: Mapping[str, int]
    """Alerts that fired, by severity."""


def activity(
    settings: Settings,
    mlapp_id: str,
    *,
    predictions: str = "pipelinestat.count",
    start: Time | None = None,
    end: Time | None = None,
) -> Activity:
    """Counts of a time; ``predictions`` names the statistic that counts them."""
    counted = Conditions().equal(mlapp_id=mlapp_id, name=predictions)
    is_by_day = start is end is None and knows_everything(settings)
    counted.between("bucket_start" if is_by_day else "event_time", start, end)
    source = (
        f"SELECT sum(total) AS n FROM statistics_by_day_state {counted}"  # noqa: S608 - as above
        if is_by_day
        else f"SELECT sumIf(value, isFinite(value)) AS n FROM statistics {counted}"  # noqa: S608 - as above
    )
    [made] = records(settings, source, counted.parameters)
    produced = Conditions().equal(mlapp_id=mlapp_id).between("event_time", start, end)
    [models] = records(
        settings,
        f"SELECT uniqExact(model_id) AS n FROM models_log {produced}",  # noqa: S608 - as above
        produced.parameters,
    )
    live = Conditions().equal(mlapp_id=mlapp_id).between("live_from", None, end)
    ended = Conditions().equal(mlapp_id=mlapp_id).between("live_to", start, None)
    still = str(ended).removeprefix("WHERE ")
    [consumed] = records(
        settings,
        f"""
        SELECT uniqExact(model_id) AS n FROM deployments_current {live} AND live_from IS NOT NULL AND (live_to IS NULL OR {still})
        """,  # noqa: S608 - as above
        live.parameters | ended.parameters,
    )
    fired = Conditions().equal(mlapp_id=mlapp_id).between("fired_at", start, end)
    alerts = records(
        settings,
        f"""
        SELECT severity, count() AS n FROM alerts_current {fired} AND fired_at IS NOT NULL GROUP BY severity ORDER BY severity
        """,  # noqa: S608 - as above
        fired.parameters,
    )
    return Activity(made["n"], models["n"], consumed["n"], {row["severity"]: row["n"] for row in alerts})


def _histogram(
    settings: Settings, where: Conditions, names: Names, feature: str, phase: str
) -> dict[str, Any] | None:
    where.equal(feature=feature, name=tuple(names.histograms)).labels({names.phase_label: phase})
    found = records(
        settings,
        f"""
        SELECT feature, kind, edges, categories, weights, row_count, missing_count, model_id, node_id, agent_id, event_time
        FROM histograms {where}
        ORDER BY event_time DESC, ingested_at DESC, _offset DESC, _index DESC
        LIMIT 1
        """,  # noqa: S608 - as above
        where.parameters,
    )
    return found[0] if found else None


def _where(
    mlapp_id: str,
    reporter: Reporter | None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> Conditions:
    asked = reporter or Reporter()
    where = Conditions().equal(
        mlapp_id=mlapp_id, node_id=asked.node_id or None, agent_id=asked.agent_id or None
    )
    return where.between("event_time", start, end).known("ingested_at", known_at)

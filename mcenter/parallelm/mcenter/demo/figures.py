"""The demo's figures: questions, each with the SQL (in ``sql/``) that answers it and the answer from the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import pandas as pd

from parallelm.mcenter.demo.replay import FIRST_DAY, MLAPP
from parallelm.schemas.well_known import OVERLAP_LABEL_PREFIX
from parallelm.warehouse.queries import Correlations, correlate, query_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings

KPI = "on-time rate"
MAX_LAG_DAYS = 3
SUREST = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """One figure of the demo."""

    question: str
    explanation: str
    sql: str
    frame: pd.DataFrame
    shown: tuple[str, ...] = ()
    """Columns that the terminal has room for; none: all."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one run. Times are UTC."""

    start: pd.Timestamp
    end: pd.Timestamp
    broken_month: str
    decisions: Answer
    deployments: Answer
    live_models: Answer
    alerts: Answer
    correlation: Answer
    counts: Answer
    kpi: Answer
    quality: Answer

    @property
    def tables(self) -> tuple[Answer, ...]:
        """Those that the report shows as tables, in the order of the story."""
        return (
            self.decisions,
            self.deployments,
            self.live_models,
            self.alerts,
            self.correlation,
            self.counts,
        )

    @property
    def pictured(self) -> tuple[Answer, ...]:
        """Those that the timeline is drawn from."""
        return (self.kpi, self.deployments, self.quality, self.alerts)

    @property
    def last_day(self) -> pd.Timestamp:
        """Last day of the replay."""
        return self.end - pd.Timedelta(days=1)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The run in five numbers: what, and how many."""
        samples = self.counts.frame.iloc[0]
        return (
            ("flights predicted", f"{self.live_models.frame['flights'].sum():,}"),
            ("models deployed", f"{len(self.deployments.frame)}"),
            ("alerts fired", f"{len(self.alerts.frame)}"),
            ("samples of statistics", f"{samples['rows']:,}"),
            ("KPI points", f"{self.counts.frame.set_index('what')['rows']['KPI points']:,}"),
        )

    @property
    def broken_model(self) -> str:
        """Name of the model that was trained on broken input; empty when the replay ended before it."""
        return self.broken_month if self.broken_month in set(self.decisions.frame["model"]) else ""

    @property
    def to_explain(self) -> tuple[str, ...]:
        """Ids for ``mcenter explain``: the broken model's deployment, and the first alert that fired."""
        decisions = self.decisions.frame
        rolled_back = decisions[(decisions["state"] == "rolled_back") & (decisions["node"] == "predict")]
        return (*rolled_back["deployment_id"].head(1), *self.alerts.frame["alert_id"].head(1))


def read_figures(settings: Settings, days: int, broken_month: str) -> Figures:
    """Ask the warehouse everything."""

    def ask(name: str, question: str, explanation: str = "", shown: tuple[str, ...] = ()) -> Answer:
        sql = _sql(name)
        return Answer(question, explanation, sql, query_frame(settings, sql), shown)

    start = pd.Timestamp(FIRST_DAY, tz="UTC")
    found = correlate(settings, KPI, mlapp_id=MLAPP, kpi_aggregation="mean", max_lag=MAX_LAG_DAYS)
    return Figures(
        start=start,
        end=start + pd.Timedelta(days=days),
        broken_month=broken_month,
        decisions=ask(
            "decisions",
            "What became of each model?",
            "Node predict has a canary policy: a new model first predicts every fourth flight on predict-canary, beside the "
            "live one. Node predict-jfk waits for a person.",
            ("node", "model", "at", "state", "who", "why"),
        ),
        deployments=ask(
            "deployments",
            "What was live for all flights, from when to when, and why?",
            "A model is live from the moment the component has it and its checksum holds, until the next one is.",
            ("model", "state", "live_from", "live_to", "why"),
        ),
        live_models=ask(
            "live_models",
            "How good was each model while it was live?",
            "Means over its days; beside them the AUC that train saw on the held-out week, the lowest similarity of the "
            "temperature with training, and the on-time rate.",
            ("model", "flights", "held_out_auc", "auc", "predicted_late", "on_time_rate"),
        ),
        alerts=ask(
            "alerts",
            "Which alerts fired, did a new model settle them, and were the dispatchers told?",
            "The reason for each rule is in examples/flight_delays/flight_delays.yaml. A silence keeps alerts of some features "
            "from the dispatchers: they fire, and nobody is told.",
            ("alert", "model", "severity", "fired", "resolved", "settled_by_new_model", "told"),
        ),
        correlation=_surest(found),
        counts=ask(
            "counts",
            "How much came in, and how fast?",
            "Rows in ClickHouse, and rows a second from the arrival of the first at Kafka to that of the last.",
        ),
        kpi=ask("on_time_rate", f"The {KPI}, by day"),
        quality=ask("quality", "AUC of each model on its flights, by week"),
    )


def _surest(found: Correlations) -> Answer:
    """The statistics that surely move with the KPI."""
    rows = found.table.head(SUREST)
    names = [_name(name, labels) for name, labels in zip(rows["statistic"], rows["labels"], strict=True)]
    table = rows[["node_id"]].assign(statistic=names, lag_days=rows["lag"])
    table[["r", "n", "effective_n", "adjusted_p"]] = rows[["r", "n", "n_effective", "p_adjusted"]]
    table[["verdict", "in_words"]] = rows[["verdict", "in_words"]]
    note = (
        f"Days of the KPI beside days of every statistic, without {', '.join(found.removed)}. Lag: days by which the statistic "
        f"comes first. Effective n and p respect autocorrelation, adjusted p also that {found.tests:,} correlations were tested."
    )
    shown = tuple(name for name in table.columns if name != "in_words")
    return Answer(
        f"Which statistics move with the {KPI}?",
        note,
        _sql("correlation"),
        table.reset_index(drop=True),
        shown,
    )


def _name(statistic: str, labels: Mapping[str, str]) -> str:
    """A series in few words; the label of a similarity score says it all."""
    label = " ".join(labels.values())
    return label if label.startswith(OVERLAP_LABEL_PREFIX) else f"{statistic} {label}".rstrip()


def _sql(name: str) -> str:
    return (files("parallelm.mcenter.demo") / "sql" / f"{name}.sql").read_text(encoding="utf-8").strip()

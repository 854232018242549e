"""What the demo tells: questions, each with the SQL (in ``sql/``) that answers it and the answer from the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import pandas as pd

from parallelm.mcenter.demo.replay import BROKEN_MONTH, FIRST_DAY, MLAPP
from parallelm.warehouse.queries import correlate
from parallelm.warehouse.queries._frames import frame

if TYPE_CHECKING:
    from parallelm.connections import Settings

KPI = "on-time rate"
MAX_LAG_DAYS = 3
STRONGEST = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """One figure of the demo."""

    question: str
    explanation: str
    sql: str
    frame: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one run. Times are UTC."""

    start: pd.Timestamp
    end: pd.Timestamp
    deployments: Answer
    live_models: Answer
    alerts: Answer
    correlation: Answer
    correlation_of_changes: Answer
    counts: Answer
    kpi: Answer
    quality: Answer

    @property
    def tables(self) -> tuple[Answer, ...]:
        """Those that are shown as tables, in the order of the story."""
        return (
            self.deployments,
            self.live_models,
            self.alerts,
            self.correlation,
            self.correlation_of_changes,
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
            ("flights predicted", f"{self.live_models.frame['predictions'].sum():,}"),
            ("models deployed", f"{len(self.deployments.frame)}"),
            ("alerts fired", f"{len(self.alerts.frame)}"),
            ("samples of statistics", f"{samples['rows']:,}"),
            ("KPI points", f"{self.counts.frame.set_index('what')['rows']['KPI points']:,}"),
        )

    @property
    def broken_model(self) -> str:
        """Name of the model that was trained on broken input; empty when the replay ended before it."""
        names = [str(name) for name in self.deployments.frame["model"]]
        return next((name for name in names if name.endswith(BROKEN_MONTH)), "")


def read_figures(settings: Settings, days: int) -> Figures:
    """Ask the warehouse everything."""

    def ask(name: str, question: str, explanation: str = "") -> Answer:
        sql = _sql(name)
        return Answer(question, explanation, sql, frame(settings, sql))

    start = pd.Timestamp(FIRST_DAY, tz="UTC")
    found = correlate(settings, KPI, mlapp_id=MLAPP, bucket="1D", max_lag=MAX_LAG_DAYS)
    return Figures(
        start=start,
        end=start + pd.Timedelta(days=days),
        deployments=ask(
            "deployments",
            "What was live, from when to when, and why?",
            "Policy always_update requests every new model. It is live from the moment the component has it and its "
            "checksum holds, until the next one is.",
        ),
        live_models=ask(
            "live_models",
            "How good was each model while it was live?",
            f"Means over its days. The model of {BROKEN_MONTH} is trained on shuffled weather columns. Its own held-out AUC "
            "is as good as any, since the held-out week comes through the same broken reader; what it costs shows beside "
            "its neighbours, and what is wrong in the similarity of the temperature with training.",
        ),
        alerts=ask(
            "alerts",
            "Which alerts fired, and did a new model settle them?",
            "The reason for each rule stands in examples/flight_delays/flight_delays.yaml.",
        ),
        correlation=_strongest(
            found,
            "raw",
            f"Which statistics move with the {KPI}?",
            "Days of the KPI beside days of every statistic.",
        ),
        correlation_of_changes=_strongest(
            found,
            "differenced",
            "And which change with it from day to day?",
            "The same for day-to-day changes, which seasons and trends do not dominate.",
        ),
        counts=ask(
            "counts",
            "How much came in, and how fast?",
            "Rows in ClickHouse, and rows a second from the arrival of the first at Kafka to that of the last.",
        ),
        kpi=ask("on_time_rate", f"The {KPI}, by day"),
        quality=ask("quality", "AUC of the live model, by day"),
    )


def _strongest(found: pd.DataFrame, form: str, question: str, explanation: str) -> Answer:
    """The statistics that move most with the KPI, by one form of the series."""
    of_form = found[found["form"] == form]
    strongest = of_form.reindex(of_form["r"].abs().sort_values(ascending=False).index).head(STRONGEST)
    labels = [" ".join(values.values()) for values in strongest["labels"]]
    table = strongest[["node_id", "statistic"]].assign(labels=labels, lag_days=strongest["lag"])
    table[["r", "n", "effective_n", "p", "adjusted_p"]] = strongest[
        ["r", "n", "n_effective", "p", "p_adjusted"]
    ]
    tests = int(found["tests"].iloc[0])
    note = (
        f"{explanation} Lag: days by which the statistic comes first. Effective n and p respect autocorrelation, adjusted "
        f"p also that {tests:,} correlations were tested."
    )
    return Answer(question, note, _sql("correlation"), table.reset_index(drop=True))


def _sql(name: str) -> str:
    return (files("parallelm.mcenter.demo") / "sql" / f"{name}.sql").read_text(encoding="utf-8").strip()

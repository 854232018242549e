"""Questions to the warehouse, as functions that return DataFrames; times are UTC.

What the component library asks on its own behalf (``check_connection``, ``last_deployed_model``,
``model_announcement``, ``mlapp_definition``, ``mlapp_agents``, ``training_histograms``) returns plain rows and needs
nothing but the driver; all others need pandas. They raise the driver's errors when ClickHouse is away, and
``QueryError`` when a question cannot be answered as asked.
"""

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import OneOrMore, query_frame, time_column
from parallelm.warehouse.queries._keyset import Keyset
from parallelm.warehouse.queries._known_at import as_known_at
from parallelm.warehouse.queries.agents import agent_states
from parallelm.warehouse.queries.alerts import OPEN_STATES, alert_episodes, alert_transitions, alerts
from parallelm.warehouse.queries.correlate import Correlations, correlate
from parallelm.warehouse.queries.dead_letters import (
    DeadLetterRecord,
    dead_letter_records,
    dead_letters,
    open_dead_letters,
)
from parallelm.warehouse.queries.events import events
from parallelm.warehouse.queries.health import (
    Activity,
    FeatureHealth,
    Names,
    Reporter,
    activity,
    feature_health,
    feature_histograms,
    histogram_reporters,
)
from parallelm.warehouse.queries.history import (
    SampleRow,
    past_events,
    past_kpis,
    past_samples,
    past_series,
    past_successions,
    statistic_names,
)
from parallelm.warehouse.queries.impact import Impact, impact
from parallelm.warehouse.queries.kpis import (
    kpi_label_names,
    kpi_names,
    kpi_revisions,
    kpi_summaries,
    kpi_values,
    kpis,
    withdrawn_points,
)
from parallelm.warehouse.queries.lineage import (
    actions_on,
    definition_at,
    deployment_transitions,
    notifications_of,
    rows_of_record,
    samples_around,
)
from parallelm.warehouse.queries.lines import Line, Lines, newer_lines, statistic_lines
from parallelm.warehouse.queries.logs import LinePlace, log_lines, log_sizes, search_logs
from parallelm.warehouse.queries.mlapps import (
    check_connection,
    current_mlapp,
    mlapp_agents,
    mlapp_definition,
    mlapp_versions,
    mlapps,
)
from parallelm.warehouse.queries.model_usage import model_usage
from parallelm.warehouse.queries.models import (
    DeployedModel,
    answers_to,
    deployment_history,
    deployments,
    last_deployed_model,
    live_models,
    model_announcement,
    model_names,
    model_samples,
    models,
    pins,
)
from parallelm.warehouse.queries.reported import (
    ReportedStatistic,
    latest_report,
    report_times,
    reported_span,
    reported_statistics,
    reports,
)
from parallelm.warehouse.queries.runs import (
    mlapp_life,
    models_of_pipelines,
    run_rows,
    run_transitions,
    runs,
)
from parallelm.warehouse.queries.statistics import (
    histograms,
    statistic_counts,
    statistics,
    statistics_rollup,
    structured_statistics,
    training_histograms,
)
from parallelm.warehouse.queries.timeline import Timeline, timeline

__all__ = [
    "OPEN_STATES",
    "Activity",
    "Correlations",
    "DeadLetterRecord",
    "DeployedModel",
    "FeatureHealth",
    "Impact",
    "Keyset",
    "Line",
    "LinePlace",
    "Lines",
    "Names",
    "OneOrMore",
    "QueryError",
    "ReportedStatistic",
    "Reporter",
    "SampleRow",
    "Timeline",
    "actions_on",
    "activity",
    "agent_states",
    "alert_episodes",
    "alert_transitions",
    "alerts",
    "answers_to",
    "as_known_at",
    "check_connection",
    "correlate",
    "current_mlapp",
    "dead_letter_records",
    "dead_letters",
    "definition_at",
    "deployment_history",
    "deployment_transitions",
    "deployments",
    "events",
    "feature_health",
    "feature_histograms",
    "histogram_reporters",
    "histograms",
    "impact",
    "kpi_label_names",
    "kpi_names",
    "kpi_revisions",
    "kpi_summaries",
    "kpi_values",
    "kpis",
    "last_deployed_model",
    "latest_report",
    "live_models",
    "log_lines",
    "log_sizes",
    "mlapp_agents",
    "mlapp_definition",
    "mlapp_life",
    "mlapp_versions",
    "mlapps",
    "model_announcement",
    "model_names",
    "model_samples",
    "model_usage",
    "models",
    "models_of_pipelines",
    "newer_lines",
    "notifications_of",
    "open_dead_letters",
    "past_events",
    "past_kpis",
    "past_samples",
    "past_series",
    "past_successions",
    "pins",
    "query_frame",
    "report_times",
    "reported_span",
    "reported_statistics",
    "reports",
    "rows_of_record",
    "run_rows",
    "run_transitions",
    "runs",
    "samples_around",
    "search_logs",
    "statistic_counts",
    "statistic_lines",
    "statistic_names",
    "statistics",
    "statistics_rollup",
    "structured_statistics",
    "time_column",
    "timeline",
    "training_histograms",
    "withdrawn_points",
]

"""Names and bounds shared between rooms: one room writes them into records, another looks for them.

The component library, the processors, the sinks and the demo import them from here, so that they cannot diverge. Imports nothing: the component library reads it in stand-alone mode.
"""

from __future__ import annotations

from typing import Final

# Types of events.
GENERIC_EVENT: Final = "GenericEvent"
MODEL_EVENT: Final = "Model"
MODEL_ACCEPTED: Final = "ModelAccepted"
"""Sent by the library when a component has downloaded a deployed model and its checksum holds."""
ML_HEALTH_MODEL: Final = "MLHealthModel"

# Types of the alerts that components raise themselves.
DATA_ALERT: Final = "GenericDataAlert"
HEALTH_ALERT: Final = "GenericHealthAlert"
SYSTEM_ALERT: Final = "GenericSystemAlert"
CANARY_HEALTH: Final = "CanaryHealth"
IS_HEALTHY: Final = "isHealthy"
"""Field of the data of a ``CANARY_HEALTH`` event: true resolves the alert."""
MODEL_HEALTH_ALERTS: Final = frozenset({HEALTH_ALERT, ML_HEALTH_MODEL})
"""Alerts about the health of one model: they end when that model is superseded."""

# Statistics that a data distribution is reported under.
CONTINUOUS_HISTOGRAM: Final = "continuousDataHistogram"
CATEGORICAL_HISTOGRAM: Final = "categoricalDataHistogram"
CONTINUOUS_ANALYSIS: Final = "Continuous Data Analysis"
CATEGORICAL_ANALYSIS: Final = "Categorical Data Analysis"
HEAT_MAP: Final = "dataheatmap"
PREDICTION_HISTOGRAM: Final = "PredictionHistogram"
"""Bar graph of the predictions, which canary comparators read."""

# Similarity scores: one statistic of each kind, one series a feature.
OVERLAP_SUFFIX: Final = "overlapResult"
"""Health rules watch the statistics whose names end with this."""
CONTINUOUS_OVERLAP: Final = f"{CONTINUOUS_HISTOGRAM}.{OVERLAP_SUFFIX}"
CATEGORICAL_OVERLAP: Final = f"{CATEGORICAL_HISTOGRAM}.{OVERLAP_SUFFIX}"
OVERLAP_LABEL_PREFIX: Final = "overlapScore_"
"""The ``LINE_LABEL`` of a similarity score is this and the feature's name."""

# Drift: reported beside a similarity score. One statistic a measure, one series a feature (``FEATURE_LABEL``).
DRIFT_PSI: Final = "drift.psi"
"""Population stability index."""
DRIFT_JS: Final = "drift.js"
"""Jensen-Shannon divergence in bits, 0 to 1."""
DRIFT_KS: Final = "drift.ks"
"""Kolmogorov-Smirnov distance of the binned values; numbers only."""
DRIFT_P_VALUE: Final = "drift.p_value"
"""Chance of a PSI and JS as large without any drift: bins, new categories and missing values together."""
DRIFT_KS_P_VALUE: Final = "drift.ks_p_value"
DRIFT_MISSING: Final = "drift.missing_share"
"""Share of the rows whose value is missing."""
DRIFT_TRAINING_MISSING: Final = "drift.training_missing_share"
DRIFT_MISSING_P_VALUE: Final = "drift.missing_p_value"
DRIFT_NEW_CATEGORIES: Final = "drift.new_category_share"
"""Share of the present values that are in no category of training; categories only."""
DRIFT_NEW_CATEGORIES_P_VALUE: Final = "drift.new_category_p_value"
DRIFT_ROWS: Final = "drift.row_count"
"""Rows that were compared, missing values included."""
DRIFT_TRAINING_ROWS: Final = "drift.training_row_count"

# Labels of series and reports.
LINE_LABEL: Final = "line"
"""Name of the line within a multi-line graph."""
FEATURE_LABEL: Final = "feature"
"""Label of drift, and of the alerts of health rules: the feature that diverges."""
PHASE_LABEL: Final = "phase"
"""Label of histograms: which data they describe."""
TRAINING_PHASE: Final = "training"
"""Value of ``PHASE_LABEL``: the data that the model was trained on."""
INFERENCE_PHASE: Final = "inference"
"""Value of ``PHASE_LABEL``: the data that is compared with the training data."""

# Event times: what the warehouse's ``DateTime64(3)`` holds. Values outside this range wrap silently.
MIN_TIME_MS: Final = -2_208_988_800_000
"""1900-01-01T00:00:00Z."""
MAX_TIME_MS: Final = 10_413_791_999_999
"""2299-12-31T23:59:59.999Z."""
MIN_YEAR: Final = 1900
MAX_YEAR: Final = 2299
TIME_BOUNDS: Final = f"{MIN_YEAR} to {MAX_YEAR}"
"""The years of these bounds, for messages."""

# Consumer groups, without the prefix that they share with topics.
PROCESSORS_GROUP: Final = "processors"
"""Stream processors."""
SINK_GROUP: Final = "sink"
NOTIFIER_GROUP: Final = "notifier"

CAPTURE_IMPORT: Final = "capture-import"
"""Transactional id of who imports captures, without the prefix of topics: there is one import at a time."""

# Actions of people on alerts: values of ``UserAction.action``.
ACKNOWLEDGE: Final = "acknowledge"
CLOSE: Final = "close"

# How the author of an action is known: values of ``UserAction.authenticated_by``.
SERVER_ACCOUNT: Final = "server_account"
"""Signed in at the server with a password."""
OIDC_ACCOUNT: Final = "oidc"
"""Signed in at the server by an identity provider."""
API_TOKEN: Final = "token"  # noqa: S105 - a word
ONE_TIME_LINK: Final = "one_time_link"
"""Somebody who chooses a password by a link."""
BROKER_PRINCIPAL: Final = "broker_principal"
"""A command; the brokers have checked its user."""
UNVERIFIED_LOCAL_USER: Final = "unverified_local_user"
"""A command; nobody has checked the name."""
IMPORTED: Final = "imported"
"""An action of another installation's audit log, as an imported file has it: ``imported_from`` names the capture."""
NOBODY: Final = "nobody"
"""Somebody who has not signed in: of refusals."""
AUTHENTICATIONS: Final = (
    SERVER_ACCOUNT, OIDC_ACCOUNT, API_TOKEN, ONE_TIME_LINK, BROKER_PRINCIPAL, UNVERIFIED_LOCAL_USER, IMPORTED,
    NOBODY,
)  # fmt: skip

# The load of hosts, which agents report as statistics.
HOSTS_MLAPP: Final = "hosts"
"""MLApp under which they do, with the agent as ``agent_id``."""
HOST_NODE: Final = "host"
HOST_CPU: Final = "host.cpu_percent"
"""Of all CPUs together: 100 is all of them."""
HOST_LOAD: Final = "host.load_1m"
HOST_MEMORY: Final = "host.memory_percent"
HOST_MEMORY_USED: Final = "host.memory_used_bytes"
HOST_DISK: Final = "host.disk_percent"
"""Of the disk with the agent's data folder."""
HOST_DISK_FREE: Final = "host.disk_free_bytes"
HOST_DISK_READ: Final = "host.disk_read_bytes_per_s"
HOST_DISK_WRITTEN: Final = "host.disk_written_bytes_per_s"
HOST_RECEIVED: Final = "host.network_received_bytes_per_s"
HOST_SENT: Final = "host.network_sent_bytes_per_s"
HOST_RUNS: Final = "host.runs"
"""Runs on the host that have not ended."""
RUN_STATISTICS: Final = "run."
"""Beginning of the names of what agents report of runs; at the time of the clock, also where components report of the past."""
RUN_CPU: Final = "run.cpu_percent"
"""Of a run, reported as a statistic of its node: all its processes; 100 is one CPU."""
RUN_MEMORY: Final = "run.memory_bytes"
"""Resident."""
RUN_THREADS: Final = "run.threads"
RUN_PROCESSES: Final = "run.processes"

# Formats of models' files.
DIRECTORY_FORMATS: Final = frozenset({"Savedmodel", "SparkML", "Mlflow"})
"""Their artifact is a tar.gz of a directory."""
TEXT_FORMATS: Final = frozenset({"Json", "Text", "Pmml"})
MODEL_FORMATS: Final = (
    "Json", "Savedmodel", "SparkML", "Binary", "Text", "ScikitLearn_2", "ScikitLearn_3", "H2O_3", "H2O_Driverless_AI",
    "Pmml", "Onnx", "Pytorch", "Xgboost", "Mlflow", "Unknown",
)  # fmt: skip

# Actions of people on models, beside those of the model policy.
UPLOAD_MODEL: Final = "upload_model"
DELETE_MODEL: Final = "delete_model"

# Actions of people that the processors only pass by: what follows from them is on topics of their own, or in a store.
APPLY_DEFINITION: Final = "apply_definition"
UPLOAD_KPIS: Final = "upload_kpis"
WITHDRAW_KPIS: Final = "withdraw_kpis"
UPLOAD_ACTUALS: Final = "upload_actuals"
SILENCE: Final = "silence"
UNSILENCE: Final = "unsilence"
TAKE_CAPTURE: Final = "take_capture"
DELETE_CAPTURE: Final = "delete_capture"
TEST_NOTIFICATION: Final = "test_notification"

# Actions of those who erase an MLApp or a label's value.
BEGIN_ERASE: Final = "begin_erase"
"""With what was found; the record of what is gone follows when all is done."""
ERASE: Final = "erase"
FORGET_MLAPP: Final = "forget_mlapp"
"""Keyed by the MLApp: processors drop what they remember of it, once it has no definition any more."""

# What predictions are: values of ``Predictions.kind``.
NUMBER_PREDICTION: Final = "number"
SCORE_PREDICTION: Final = "score"
"""Probability that the outcome is 1."""
CLASS_PREDICTION: Final = "class"
PREDICTION_KINDS: Final = (NUMBER_PREDICTION, SCORE_PREDICTION, CLASS_PREDICTION)

# Actions of people on MLApps, nodes and runs: values of ``UserAction.action``.
LAUNCH: Final = "launch"
STOP: Final = "stop"
PAUSE: Final = "pause"
RESUME: Final = "resume"
RUN_NODE: Final = "run_node"
STOP_RUN: Final = "stop_run"
"""``target`` names the run."""
ARCHIVE: Final = "archive"
DELETE: Final = "delete"
RUN_ACTIONS: Final = frozenset({LAUNCH, STOP, PAUSE, RESUME, RUN_NODE, STOP_RUN, ARCHIVE, DELETE})
FORCE: Final = "force"
"""Parameter of ``STOP_RUN``: ``true`` gives up a run whose agent does not answer; it is lost."""

# What makes a run due: values of ``RunTransition.trigger``.
BY_SCHEDULE: Final = "schedule"
BY_PARENT: Final = "parent"
BY_MODEL: Final = "model"
BY_DATA: Final = "data"
BY_PERSON: Final = "person"
BY_LAUNCH: Final = "launch"
BY_SERVICE: Final = "service"

# How a run ended: values of ``RunReport.outcome``.
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
STOPPED: Final = "stopped"
TIMED_OUT: Final = "timed_out"
LEASE_LOST: Final = "lease_lost"
LOST: Final = "lost"

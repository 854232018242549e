"""Every metric of the stream processors: the one place that names them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("mcenter_processors_records", "Records handled, dead letters included.", ("topic",))
OUTPUTS = Counter("mcenter_processors_outputs", "Records sent, by topic.", ("topic",))
DEAD_LETTERS = Counter(
    "mcenter_processors_dead_letters", "Records sent to the dead letters.", ("topic", "stage")
)
RETRIES = Counter("mcenter_processors_retries", "Attempts that failed for now, by error.", ("error",))
READ_AGAIN = Counter(
    "mcenter_processors_gaps", "Gaps between fetcher and shard that were read again.", ("topic",)
)
BATCH_SECONDS = Histogram(
    "mcenter_processors_batch_seconds", "Time of one batch, all writes included.", ("stage",)
)
LAG = Gauge("mcenter_processors_lag_records", "Records not handled yet.", ("topic", "partition"))
KEYS = Gauge("mcenter_processors_state_keys", "Keys that state is kept for.", ("stage", "partition"))
PROGRESS_AGE = Gauge(
    "mcenter_processors_progress_age_seconds",
    "Time since the shard that is furthest behind finished a batch or had nothing to do; 0 while no broker answers.",
)

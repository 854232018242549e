"""Every metric of the notifier: the one place that names them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TRANSITIONS = Counter("mcenter_notifier_transitions", "Transitions read, by topic.", ("topic",))
UNREADABLE = Counter(
    "mcenter_notifier_unreadable_records", "Records that could not be decoded, by topic.", ("topic",)
)
NOTIFICATIONS = Counter(
    "mcenter_notifier_notifications",
    "Notifications that were sent or given up, by target.",
    ("target", "state"),
)
ATTEMPTS = Counter(
    "mcenter_notifier_attempts", "Attempts to send, by target and outcome.", ("target", "outcome")
)
SEND_SECONDS = Histogram("mcenter_notifier_send_seconds", "Time of one attempt to send.", ("target",))
PENDING = Gauge("mcenter_notifier_pending_notifications", "Notifications that are not sent yet.", ("target",))
GROUPS = Gauge("mcenter_notifier_groups", "Groups of alerts and deployments.")
TEMPLATE_ERRORS = Counter(
    "mcenter_notifier_template_errors",
    "Messages sent with the default template, since their own failed.",
    ("receiver",),
)
IS_ACTIVE = Gauge("mcenter_notifier_is_active", "1 in the one notifier that sends, 0 in those that stand by.")

"""The notifier's file: who is notified of which alerts and deployments, and when."""

from parallelm.definitions.notifications.forms import (
    InhibitForm,
    NotificationsForm,
    RateLimitForm,
    ReceiverForm,
    RouteForm,
)
from parallelm.definitions.notifications.reading import (
    Checks,
    NotificationRules,
    Receiver,
    parse_notifications,
)
from parallelm.definitions.notifications.targets import TARGET_FORMS, TargetForm

__all__ = [
    "TARGET_FORMS",
    "Checks",
    "InhibitForm",
    "NotificationRules",
    "NotificationsForm",
    "RateLimitForm",
    "Receiver",
    "ReceiverForm",
    "RouteForm",
    "TargetForm",
    "parse_notifications",
]

"""Notifications: routes, groups, inhibition, silences and timing as pure functions of records; Kafka and senders in ``edge``."""

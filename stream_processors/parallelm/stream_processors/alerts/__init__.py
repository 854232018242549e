"""Alert rules and the life cycle of alerts: pure, on event time, with no clock and no Kafka inside."""

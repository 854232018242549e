"""The notifier's edge: Kafka, the senders, clocks and threads around the pure core."""

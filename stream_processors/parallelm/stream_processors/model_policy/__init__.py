"""Which model is deployed on which node, and why: pure, with no clock and no Kafka inside."""

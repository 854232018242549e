"""Faust as this platform runs it: records in chunks, state and outputs in Kafka transactions, workers that end when they must."""

"""Comparison of a canary with the live model: tests on metrics, distance of predictions, scores."""

"""Options of charts, built from data: pure functions."""

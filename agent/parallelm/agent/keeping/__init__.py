"""Keeps runs on this host: one small keeper process a run, which outlives the agent; all state of a run is files."""

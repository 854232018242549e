"""The reporting calls: they check numbers, statistic objects and events, and pass them to the output."""

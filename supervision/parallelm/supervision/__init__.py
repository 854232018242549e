"""Processes: started, watched, restarted and stopped, with their logs."""

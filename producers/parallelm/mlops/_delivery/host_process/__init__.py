"""Handling of forks of the host process and of its end."""

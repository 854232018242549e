"""What can go wrong with settings."""

from __future__ import annotations


class ConfigurationError(Exception):
    """A setting is missing, unknown or of the wrong type. The message names it, its source and what is allowed."""

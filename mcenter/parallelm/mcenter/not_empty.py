"""Callback of options and arguments that must say something."""

from __future__ import annotations

import click


def not_empty(_context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """The text without space around it; refuse an empty one. None stays None: the option was not given."""
    if text is None:
        return None
    if not text.strip():
        raise click.BadParameter("is empty", param=parameter)
    return text.strip()

"""Callback of options and arguments that must say something."""

from __future__ import annotations

import click


def not_empty(_context: click.Context, parameter: click.Parameter, text: str) -> str:
    """The text without space around it; refuse an empty one."""
    if not text.strip():
        raise click.BadParameter("is empty", param=parameter)
    return text.strip()

"""What can go wrong in the demo."""

from __future__ import annotations

import click


class DemoError(click.ClickException):
    """The demo cannot go on; the message says why and what to do. The command ends with it and exit code 1."""

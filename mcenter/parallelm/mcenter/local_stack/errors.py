"""Errors of the local stack."""

import click


class StackError(click.ClickException):
    """The local stack cannot do what was asked. The message says what is wrong and what to do.

    A command that lets it pass ends with the message and exit code 1.
    """

"""Errors of the local stack."""


class StackError(Exception):
    """The local stack cannot do what was asked. The message says what is wrong and what to do."""

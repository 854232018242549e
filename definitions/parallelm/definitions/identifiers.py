"""Ids: they are used in record keys and file names."""

from __future__ import annotations

import re

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Letters, digits, dot, dash and underscore."""
LONGEST_IDENTIFIER = 200


def is_identifier(text: str) -> bool:
    """Whether ``text`` may be an id."""
    return len(text) <= LONGEST_IDENTIFIER and re.fullmatch(IDENTIFIER, text) is not None

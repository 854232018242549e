"""Rows of questions as templates read them, and waiting until what somebody has just done is among them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from parallelm.operations.errors import QuestionError
from parallelm.operations.json_values import is_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

STORED_S: Final = 8.0
"""The sink stores what the processors have answered within a second; a page does not wait longer than this."""
_POLL_S: Final = 0.1


def rows(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame, NULL as None."""
    return [
        {str(name): None if is_missing(value) else value for name, value in row.items()}
        for row in found.to_dict("records")
    ]


def labels_of(text: str) -> dict[str, str]:
    """Labels of a filter, as it is written: ``feature=age, line=a``; raises ``QuestionError``."""
    found = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not part.strip():
            continue
        if not (equals and key.strip()):
            raise QuestionError(f"the label {part.strip()!r} is not key=value")
        found[key.strip()] = value.strip()
    return found


def label_filter(text: str) -> dict[str, Any]:
    """``labels`` and ``without_labels`` of a filter in which ``!store`` asks for no label of this name."""
    parts = [part.strip() for part in text.split(",")]
    without = [part.removeprefix("!").strip() for part in parts if part.startswith("!")]
    with_labels = labels_of(",".join(part for part in parts if not part.startswith("!")))
    return {"labels": with_labels, "without_labels": [key for key in without if key]}


def stored(is_there: Callable[[], bool]) -> bool:
    """Whether the warehouse shows it in time: the page that is drawn next is of what somebody has just done."""
    deadline = time.monotonic() + STORED_S
    while not is_there():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True

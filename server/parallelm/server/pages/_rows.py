"""Rows of questions as templates read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.errors import QuestionError
from parallelm.operations.json_values import is_missing

if TYPE_CHECKING:
    import pandas as pd


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

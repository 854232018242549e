"""Explanations of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from parallelm.operations.json_values import plain
from parallelm.server.api._values import Answer

if TYPE_CHECKING:
    from parallelm.operations.explaining import Part


class Explanation(Answer):
    """A sentence with the numbers behind it, and what it rests on."""

    text: str
    values: dict[str, Any]
    parts: list[Explanation]

    @classmethod
    def of(cls, part: Part) -> Self:
        """As an answer."""
        return cls.model_validate(
            {"text": part.text, "values": plain(part.values), "parts": [cls.of(each) for each in part.parts]}
        )

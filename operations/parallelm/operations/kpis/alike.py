"""Mistakes of a file by what is wrong: one that every line has is told once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.operations.kpis.file import Mistake

_VALUES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+")
"""What differs between mistakes of one kind: the text of the line, numbers, times."""
_TOLD_EACH = 3
"""Mistakes of one kind that are still told one by one."""
_NAMED_LINES = 5


@dataclass(frozen=True, slots=True)
class AlikeMistakes:
    """The first mistake of a kind, and on which other lines there is one."""

    first: Mistake
    other_lines: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.first}{self.others}"

    @property
    def others(self) -> str:
        """What follows on the first one: how many more there are, and on which lines."""
        if not self.other_lines:
            return ""
        named = ", ".join(map(str, self.other_lines[:_NAMED_LINES]))
        more = ", …" if len(self.other_lines) > _NAMED_LINES else ""
        return f"; and alike on {len(self.other_lines)} more lines: {named}{more}"


def alike(mistakes: Iterable[Mistake]) -> list[AlikeMistakes]:
    """The mistakes by kind, in the order of their first lines; a few of one kind are each by itself."""
    kinds: dict[tuple[str, str], list[Mistake]] = {}
    for each in mistakes:
        kinds.setdefault((each.column, _VALUES.sub("", each.what)), []).append(each)
    found = []
    for same in kinds.values():
        if len(same) <= _TOLD_EACH:
            found += [AlikeMistakes(each) for each in same]
        else:
            found.append(AlikeMistakes(same[0], [each.line for each in same[1:]]))
    return sorted(found, key=lambda each: each.first.line)

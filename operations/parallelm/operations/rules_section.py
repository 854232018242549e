"""The alert rules in the text of an MLApp's file: taken out to be edited by themselves, and put back where they stood."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BEGINS: Final = re.compile(r"alerts\s*:")
_NEXT_KEY: Final = re.compile(r"[^\s#\-\]}]")
"""Beginning of a line outside the section: something at the margin that is no comment, item or end of a bracket."""
_EMPTY: Final = "alerts: []\n"


@dataclass(frozen=True, slots=True)
class RulesSection:
    """The section, and the text around it."""

    before: str
    text: str
    after: str

    def replaced(self, text: str) -> str:
        """The file with another text of the section."""
        ending = "" if text.endswith("\n") or not text else "\n"
        return f"{self.before}{text}{ending}{self.after}"

    def line_in_section(self, line: int, text: str) -> int | None:
        """Line of the section for a line of ``replaced(text)``, from 1; None for a line outside."""
        inside = line - self.before.count("\n")
        return inside if 1 <= inside <= max(1, len(text.splitlines())) else None


def rules_section(source: str) -> RulesSection:
    """The section ``alerts`` of a file; where there is none, an empty one at the end."""
    lines = source.splitlines(keepends=True)
    begin = next((at for at, line in enumerate(lines) if _BEGINS.match(line)), None)
    if begin is None:
        before = source if source.endswith("\n") or not source else f"{source}\n"
        return RulesSection(before, _EMPTY, "")
    end = next((at for at in range(begin + 1, len(lines)) if _NEXT_KEY.match(lines[at])), len(lines))
    # Comments above the next section are about that one.
    while end > begin + 1 and lines[end - 1].startswith("#") and end < len(lines):
        end -= 1
    return RulesSection("".join(lines[:begin]), "".join(lines[begin:end]), "".join(lines[end:]))

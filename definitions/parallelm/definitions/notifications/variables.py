"""``${NAME}`` in a target is the environment's variable of that name, so that secrets need not stand in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.definitions.marked_yaml import Path

_VARIABLE = re.compile(r"\$\$|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Variables:
    """Puts variables into values, and remembers which values they had. Without an environment only names are checked."""

    environ: Mapping[str, str] | None
    secrets: list[str] = field(default_factory=list)
    mistakes: list[tuple[Path, str]] = field(default_factory=list)

    def put_in(self, value: Any, path: Path) -> Any:
        """``value`` with every variable in it replaced; mappings and lists at any depth."""
        if isinstance(value, dict):
            return {key: self.put_in(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.put_in(item, (*path, at)) for at, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        return _VARIABLE.sub(lambda found: self._value(found, path), value)

    def _value(self, found: re.Match[str], path: Path) -> str:
        name = found[1]
        if name is None:
            return "$"
        if not _NAME.fullmatch(name):
            self.mistakes.append((path, f"{found[0]!r} names no variable; write ${{NAME}}, and $$ for a $"))
            return ""
        if self.environ is None:
            return found[0]
        value = self.environ.get(name, "")
        if not value:
            self.mistakes.append((path, f"the environment variable {name} is not set"))
            return found[0]
        self.secrets.append(value)
        return value

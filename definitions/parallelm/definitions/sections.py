"""What reading a file of ours section by section shares: every mistake is collected with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from parallelm.definitions.errors import Problem
from parallelm.definitions.form import Form
from parallelm.definitions.mistakes import field_mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.definitions.marked_yaml import MarkedYaml, Path

AnyForm = TypeVar("AnyForm", bound=Form)


class SectionReader:
    """Collects mistakes section by section: those of one section do not hide those of another."""

    def __init__(self, document: MarkedYaml) -> None:
        self._document = document
        self._unread = {(found.line, found.column) for found in document.problems}
        self._problems = list(document.problems)

    def _form(self, form: type[AnyForm], raw: Any, where: Path) -> AnyForm | None:
        try:
            return form.model_validate(raw)
        except ValidationError as error:
            for path, of_key, message in field_mistakes(error, form, raw, where):
                self._add(path, message, of_key=of_key)
            return None

    def _add(self, path: Path, message: str, *, of_key: bool = False) -> None:
        place = self._document.place(path, of_key=of_key)
        if of_key or place not in self._unread:  # a value that could not be read is reported already
            self._problems.append(Problem(*place, message))


def listed(raw: Mapping[str, Any], key: str) -> list[Any]:
    """The list under a key; empty when there is none."""
    found = raw.get(key)
    return found if isinstance(found, list) else []

"""Kinds of targets, one file for each. Adding a kind is adding a file with a ``TargetForm`` in it, and its sender."""

from __future__ import annotations

from typing import Any, ClassVar

from parallelm.definitions.form import Form
from parallelm.definitions.registered import import_modules_of


class TargetForm(Form):
    """Where notifications go. Everything in it may hold secrets: it is never shown, logged or sent to a topic."""

    type_name: ClassVar[str] = ""
    """What the file says in ``type``."""

    type: str

    def __init_subclass__(cls, *, type_name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.type_name = type_name
        TARGET_FORMS[type_name] = cls

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    __str__ = __repr__


TARGET_FORMS: dict[str, type[TargetForm]] = {}
"""Every kind of target by its name in the file."""

import_modules_of(__name__)

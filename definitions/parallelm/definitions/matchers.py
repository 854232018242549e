"""Matchers: conditions on labels, ``severity=critical`` or ``node=~"predict|train"``, as routes and silences have them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_VALUE = 500
"""Characters of a matcher's value; and of a label's value that a regular expression is tried on."""

_FORM = re.compile(r"\s*([^\s=!~\"']+)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_REGEX = ("=~", "!~")


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """A condition on one label. A label that is not there has an empty value, as in Alertmanager."""

    label: str
    operator: str
    """``=``, ``!=``, ``=~`` or ``!~``; the last two take a regular expression for the whole value."""
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the condition holds for these labels."""
        found = labels.get(self.label, "")
        if self.operator in _REGEX:
            holds = _compiled(self.value).fullmatch(found[:MAX_VALUE]) is not None
        else:
            holds = found == self.value
        return holds != self.operator.startswith("!")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.operator}"{escaped}"'


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every condition holds."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse_matcher(text: str) -> Matcher:
    """A matcher as people write it; quotes around the value may be left out. Raises ``ValueError`` saying what is wrong."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a matcher; write label=value, label!=value, label=~regex or label!~regex"
        )
    label, operator, value = found.groups()
    return make_matcher(label, operator, _unquoted(value, text))


def make_matcher(label: str, operator: str, value: str) -> Matcher:
    """A matcher of its parts; raises ``ValueError`` for an unknown operator, a value that is too long and a wrong regular expression."""
    if operator not in {"=", "!=", *_REGEX}:
        raise ValueError(f"{operator!r} is not an operator of matchers; there are: =, !=, =~, !~")
    if len(value) > MAX_VALUE:
        raise ValueError(f"the value of {label!r} is longer than {MAX_VALUE} characters")
    if operator in _REGEX:
        try:
            _compiled(value)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return Matcher(label, operator, value)


def _unquoted(value: str, text: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    if not value.startswith('"'):
        return value
    if _QUOTED.fullmatch(value) is None:
        raise ValueError(f"the quotes of {text!r} do not match")
    # Only quotes and backslashes are escaped: "\d+" means what it looks like.
    return re.sub(r'\\(["\\])', r"\1", value[1:-1])


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)

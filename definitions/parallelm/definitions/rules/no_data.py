"""``no_data``: a statistic, a node or an agent must not go quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from parallelm.definitions.durations import duration_in, format_duration
from parallelm.definitions.form import DurationMs, Name
from parallelm.definitions.rules import RuleForm, pattern_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

MIN_SILENCE_MS = 5_000
"""Signs of life are gathered over two seconds: a shorter silence cannot be told from none."""
DEFAULT_FORGET_MS = 7 * 86_400_000
WHO = ("node", "agent", "pipeline")
"""Labels that every report has."""


class NoDataRuleForm(RuleForm, type_name="no_data"):
    """Something that reports must go on reporting: a statistic if one is named, anything of a node otherwise."""

    for_ms: DurationMs = Field(default=0, alias="for")
    statistic: Name | None = None
    statistic_pattern: Name | None = None
    match: dict[str, str] = Field(default_factory=dict)
    match_pattern: dict[str, str] = Field(default_factory=dict)
    by: list[Name] = Field(default_factory=lambda: ["node"])
    forget_after: DurationMs = DEFAULT_FORGET_MS

    @field_validator("for_ms")
    @classmethod
    def _long_enough(cls, silence_ms: int) -> int:
        if silence_ms < MIN_SILENCE_MS:
            raise ValueError(f"{format_duration(silence_ms)} is too short; a silence is told from 5s on")
        return silence_ms

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if "for_ms" not in self.model_fields_set:
            raise ValueError(
                "a no_data rule needs 'for': how long the silence lasts before the alert fires, as in for: 10m"
            )
        return self

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """A silence that can be told, of something that can be told apart."""
        yield from super().semantic_errors(raw)
        yield from pattern_mistakes(raw, "statistic_pattern")
        yield from cls.listed_twice(raw, "by")
        has_statistic = raw.get("statistic") is not None or raw.get("statistic_pattern") is not None
        if raw.get("statistic") is not None and raw.get("statistic_pattern") is not None:
            yield (), "a no_data rule watches a 'statistic' or a 'statistic_pattern', not both"
        silence_ms, forget_ms = duration_in(raw, "for"), duration_in(raw, "forget_after")
        if silence_ms is not None and forget_ms is not None and forget_ms <= silence_ms:
            yield (
                ("forget_after",),
                f"forget_after is {raw['forget_after']!r}: it must be longer than 'for' ({raw['for']})",
            )
        if not has_statistic:
            yield from _labels_of_statistics(raw)

    @classmethod
    def named_nodes(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Also the one that its reports must be of."""
        yield from super().named_nodes(raw)
        match = raw.get("match")
        if isinstance(match, dict) and isinstance(match.get("node"), str):
            yield ("match", "node"), match["node"]

    @property
    def watched_statistic(self) -> str:
        """As the file names it."""
        return self.statistic or ""

    @property
    def matched_labels(self) -> Mapping[str, str]:
        """As the file names them."""
        return self.match

    def parameters(self, policy: PolicyForm) -> dict[str, object]:  # noqa: ARG002 - of all types
        """What is told apart, and when what has gone for good is forgotten."""
        found: dict[str, object] = {
            "by": list(self.by),
            "forget_after_ms": max(self.forget_after, 2 * self.for_ms),
        }
        if self.statistic_pattern is not None:
            found["statistic_pattern"] = self.statistic_pattern
        if self.match_pattern:
            found["match_patterns"] = dict(self.match_pattern)
        return found


def _labels_of_statistics(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for section in ("match", "match_pattern", "by"):
        names = raw.get(section)
        for at, name in enumerate(names if isinstance(names, dict | list) else ()):
            if isinstance(name, str) and name not in WHO:
                place: Path = (section, at if section == "by" else name)
                yield (
                    place,
                    f"label {name!r} is one of statistics: name a 'statistic', or use {', '.join(WHO)}",
                )

"""``event``: no more than so many events of a kind within a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from parallelm.definitions.form import Name, PositiveDurationMs
from parallelm.definitions.rules import RuleForm, pattern_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm


class EventRuleForm(RuleForm, type_name="event"):
    """Counts events by their event time."""

    event: Name | None = None
    event_pattern: Name | None = None
    title: str | None = None
    title_pattern: Name | None = None
    match: dict[str, str] = Field(default_factory=dict)
    match_pattern: dict[str, str] = Field(default_factory=dict)
    by: list[Name] = Field(default_factory=lambda: ["node"])
    window: PositiveDurationMs
    above: Annotated[int, Field(ge=0)]

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """One kind of event, and patterns that are some."""
        yield from super().semantic_errors(raw)
        if (raw.get("event") is None) == (raw.get("event_pattern") is None):
            yield (), "an event rule needs exactly one of 'event' and 'event_pattern', the type of the events"
        if raw.get("title") is not None and raw.get("title_pattern") is not None:
            yield (), "an event rule has a 'title' or a 'title_pattern', not both"
        yield from pattern_mistakes(raw, "event_pattern")
        yield from pattern_mistakes(raw, "title_pattern")
        yield from cls.listed_twice(raw, "by")

    @property
    def watched_statistic(self) -> str:
        """Type of the events."""
        return self.event or ""

    @property
    def matched_labels(self) -> Mapping[str, str]:
        """As the file names them."""
        return self.match

    def parameters(self, policy: PolicyForm) -> dict[str, object]:  # noqa: ARG002 - of all types
        """What is counted, how far back, and the limit."""
        found: dict[str, object] = {"by": list(self.by), "window_ms": self.window, "above": self.above}
        more: dict[str, object] = {
            "statistic_pattern": self.event_pattern,
            "title": self.title,
            "title_pattern": self.title_pattern,
            "match_patterns": dict(self.match_pattern) or None,
        }
        return found | {key: value for key, value in more.items() if value is not None}

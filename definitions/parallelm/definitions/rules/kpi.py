"""``kpi``: a business KPI must not go above, or below, a number; late and revised points are judged again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from parallelm.definitions.form import Name, Number, PositiveDurationMs
from parallelm.definitions.rules import RuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

DEFAULT_STALE_MS = 30 * 86_400_000


class KpiRuleForm(RuleForm, type_name="kpi"):
    """Judges points of a KPI, or a function over those of a window."""

    kpi: Name
    match: dict[str, str] = Field(default_factory=dict)
    match_pattern: dict[str, str] = Field(default_factory=dict)
    by: list[Name] | None = None
    aggregate: Literal["sum", "avg", "min", "max", "count"] | None = None
    window: PositiveDurationMs | None = None
    above: Number | None = None
    below: Number | None = None
    max_gap: PositiveDurationMs | None = None
    stale_after: PositiveDurationMs = DEFAULT_STALE_MS

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """It has one side, and windows that are whole."""
        yield from super().semantic_errors(raw)
        yield from cls.listed_twice(raw, "by")
        if (raw.get("above") is None) == (raw.get("below") is None):
            yield (), "a kpi rule needs exactly one of 'above' and 'below'"
        if (raw.get("aggregate") is None) != (raw.get("window") is None):
            yield (), "'aggregate' and 'window' belong together: which function over the points of how long"
        if raw.get("by") is not None and raw.get("aggregate") is None:
            yield ("by",), "'by' needs 'aggregate': points that are judged alone have all their labels"

    @property
    def watched_statistic(self) -> str:
        """Name of the KPI."""
        return self.kpi

    @property
    def matched_labels(self) -> Mapping[str, str]:
        """As the file names them."""
        return self.match

    def parameters(self, policy: PolicyForm) -> dict[str, object]:  # noqa: ARG002 - of all types
        """Side and number, and how points become one."""
        side, threshold = ("above", self.above) if self.above is not None else ("below", self.below)
        found: dict[str, object] = {
            "side": side,
            "threshold": threshold,
            "stale_after_ms": self.stale_after,
        }
        more: dict[str, object] = {
            "function": self.aggregate,
            "bucket_ms": self.window,
            "labels_apart": self.by,
            "max_gap_ms": self.max_gap,
            "match_patterns": dict(self.match_pattern) or None,
        }
        return found | {key: value for key, value in more.items() if value is not None}

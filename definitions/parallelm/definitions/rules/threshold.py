"""``threshold``: a statistic must not go above, or below, a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from parallelm.definitions.form import Name, Number
from parallelm.definitions.rules import RuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm


class ThresholdRuleForm(RuleForm, type_name="threshold"):
    """A statistic that must not go above, or below, a number."""

    statistic: Name
    match: dict[str, str] = Field(default_factory=dict)
    above: Number | None = None
    below: Number | None = None

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """It has one side."""
        yield from super().semantic_errors(raw)
        if (raw.get("above") is None) == (raw.get("below") is None):
            yield (), "a threshold rule needs exactly one of 'above' and 'below'"

    @property
    def watched_statistic(self) -> str:
        """As the file names it."""
        return self.statistic

    @property
    def matched_labels(self) -> Mapping[str, str]:
        """As the file names them."""
        return self.match

    def parameters(self, policy: PolicyForm) -> dict[str, object]:  # noqa: ARG002 - of all types
        """Side and number."""
        if self.above is not None:
            return {"side": "above", "threshold": self.above}
        return {"side": "below", "threshold": self.below}
